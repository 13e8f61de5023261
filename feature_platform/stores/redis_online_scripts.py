"""The scripts that publish and remove what was staged in Redis. Redis runs a script as one step.

Each may be run twice: it knows what was done already. Each names its keys, so that a cluster that is moving them
refuses a script before it begins. The first write of a script needs no memory, and one that has written is not
stopped half-way for lack of it: a full server can publish what it holds.
"""

from __future__ import annotations

from typing import Final

DECIDE: Final = """
redis.call('PERSIST', KEYS[1])
local token = ARGV[1]
local meta = redis.call('HMGET', KEYS[1], 'version', 'revision', 'number', 'publishing')
if meta[1] == token or meta[2] == token then return {'live', 0} end
if meta[4] then
  local other = cjson.decode(meta[4]).token
  return {other == token and 'decided' or 'busy', tonumber(meta[3])}
end
if redis.call('HEXISTS', KEYS[2], token) == 0 then return {'gone', 0} end
if ARGV[2] ~= '' and (meta[1] ~= ARGV[2] or (meta[2] or '') ~= ARGV[3]) then return {'moved', 0} end
if ARGV[6] ~= (meta[3] or '') then return {'again', 0} end
local number = math.max(tonumber(meta[3] or 0), tonumber(ARGV[4])) + 1
redis.call('HSET', KEYS[1], 'number', number, 'publishing', ARGV[5])
return {'decided', number}
"""
"""Decides that what was staged goes live: from here on it is carried through, by whoever comes by. Keys: meta, staged.
Arguments: token; of changes, version and revision that they are made for; the highest number that a pointer has; what
is to be done, as JSON; the number that the record had when it was looked at: another one means that what is live has
changed since. Gives an answer and the publication's number."""

FLIP: Final = """
local number, token, rows, buckets = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local live = redis.call('HMGET', KEYS[1], 'number', 'version', 'rows')
if live[1] and tonumber(live[1]) >= number then return {'live', tonumber(live[3])} end
if (live[2] or '') ~= ARGV[5] then return {'moved', 0} end
local found = 0
for place = 2, 1 + buckets do found = found + redis.call('HLEN', KEYS[place]) end
if found ~= rows then return {'gone', 0} end
for place = 2, 1 + buckets do
  redis.call('PERSIST', KEYS[place])
  if ARGV[6] ~= '' then redis.call('PEXPIREAT', KEYS[place], ARGV[6]) end
end
redis.call('HSET', KEYS[1], 'number', number, 'version', token, 'rows', rows, unpack(ARGV, 7))
for place = 2 + buckets, #KEYS do redis.call('UNLINK', KEYS[place]) end
return {'live', rows}
"""
"""Directs a group's readers to its staged rows. Keys: pointer, its new buckets, those of the version that it points to.
Arguments: number of the publication, token, rows, how many new buckets, the version that it points to, when the rows
vanish (milliseconds since 1970; empty: never), then further fields and values of the pointer. Gives an answer and the
group's rows."""

CHANGE: Final = """
local number, changes, buckets = tonumber(ARGV[1]), tonumber(ARGV[2]), (#KEYS - 1) / 2
local live = redis.call('HMGET', KEYS[1], 'number', 'version', 'revision', 'rows')
if live[1] and tonumber(live[1]) >= number then return {'live', tonumber(live[4])} end
if live[2] ~= ARGV[3] or (live[3] or '') ~= ARGV[4] then return {'gone', 0} end
local rows, found = tonumber(live[4]), 0
for place = 2, 1 + buckets do found = found + redis.call('HLEN', KEYS[place]) end
if found ~= changes then return {'gone', 0} end
for place = 2, 1 + buckets do
  local from, to = KEYS[place], KEYS[place + buckets]
  redis.call('PERSIST', from)
  local staged = redis.call('HGETALL', from)
  local set, gone = {}, {}
  for place = 1, #staged, 2 do
    if staged[place + 1] == '' then
      gone[#gone + 1] = staged[place]
    else
      set[#set + 1] = staged[place]
      set[#set + 1] = staged[place + 1]
    end
    if #set >= 2000 then
      rows = rows + redis.call('HSET', to, unpack(set))
      set = {}
    end
    if #gone >= 2000 then
      rows = rows - redis.call('HDEL', to, unpack(gone))
      gone = {}
    end
  end
  if #set > 0 then rows = rows + redis.call('HSET', to, unpack(set)) end
  if #gone > 0 then rows = rows - redis.call('HDEL', to, unpack(gone)) end
  redis.call('UNLINK', from)
  redis.call('PERSIST', to)
  if ARGV[5] ~= '' then redis.call('PEXPIREAT', to, ARGV[5]) end
end
redis.call('HSET', KEYS[1], 'number', number, 'rows', rows, unpack(ARGV, 6))
return {'live', rows}
"""
"""Makes a group's staged changes. Keys: pointer, buckets with changes, as many that they are made to. Arguments: number
of the publication, how many changes, version and revision that they are made for, when the rows vanish as above, then
further fields and values of the pointer. An empty value stands for a row that goes. Gives an answer and the group's
rows."""

FINISH: Final = """
local publishing = redis.call('HGET', KEYS[1], 'publishing')
if not publishing or cjson.decode(publishing).token ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'publishing', 'lost')
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""
"""Writes down that a publication is done. Keys: meta, staged. Arguments: token, fields and values of meta."""

CLAIM: Final = """
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if not entry then return false end
local publishing = redis.call('HGET', KEYS[1], 'publishing')
if publishing and cjson.decode(publishing).token == ARGV[1] then return false end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[2], '-' .. ARGV[1], entry)
return entry
"""
"""Keeps what was staged from being published, so that it can be removed; its entry stays under another name until it
is. Keys: meta, staged. Argument: token. Gives the entry, nothing where it is not there or is going live."""

WITHDRAW: Final = """
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
for place = 1, #KEYS do redis.call('UNLINK', KEYS[place]) end
return 1
"""
"""Removes a group's pointer with the rows that it names. Keys: pointer, its buckets. Argument: the version that it
names, empty where there is none. Gives 0, and nothing is done, where it names another."""
