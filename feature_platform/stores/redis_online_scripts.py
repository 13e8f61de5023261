"""The scripts that publish and remove what was staged in Redis. Redis runs a script as one step.

The first write of a publication is PERSIST, which needs no memory, and a script that has written is not stopped
half-way for lack of it.
"""

from __future__ import annotations

from typing import Final

PUBLISH: Final = """
local token, buckets, used, base = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if redis.call('HGET', KEYS[1], 'version') == token then return 'live' end
if redis.call('HEXISTS', KEYS[2], token) == 0 then return 'gone' end
local kept = 0
for number = 0, buckets - 1 do
  kept = kept + redis.call('PERSIST', base .. token .. ':' .. number)
end
if kept ~= used then return 'gone' end
local old = redis.call('HMGET', KEYS[1], 'version', 'buckets')
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('HDEL', KEYS[2], token)
if old[1] then
  for number = 0, tonumber(old[2]) - 1 do
    redis.call('UNLINK', base .. old[1] .. ':' .. number)
  end
end
return 'published'
"""
"""Keys: meta, staged. Arguments: token, buckets, used buckets, base of bucket names, then fields and values of meta."""

CHANGE: Final = """
local token, used, base, version, revision = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local live = redis.call('HMGET', KEYS[1], 'version', 'revision', 'buckets', 'rows')
if live[2] == token then return 'live' end
if redis.call('HEXISTS', KEYS[2], token) == 0 then return 'gone' end
if live[1] ~= version or (live[2] or '') ~= revision then return 'moved' end
local buckets, rows, kept = tonumber(live[3]), tonumber(live[4]), 0
for number = 0, buckets - 1 do
  kept = kept + redis.call('PERSIST', base .. token .. ':' .. number)
end
if kept ~= used then return 'gone' end
for number = 0, buckets - 1 do
  local from, to = base .. token .. ':' .. number, base .. version .. ':' .. number
  local changes = redis.call('HGETALL', from)
  local set, gone = {}, {}
  for place = 1, #changes, 2 do
    if changes[place + 1] == '' then
      gone[#gone + 1] = changes[place]
    else
      set[#set + 1] = changes[place]
      set[#set + 1] = changes[place + 1]
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
end
redis.call('HSET', KEYS[1], 'rows', rows, unpack(ARGV, 6))
redis.call('HDEL', KEYS[2], token)
return 'published'
"""
"""Keys: meta, staged. Arguments: token, used buckets, base of bucket names, version and revision that the changes are
made for, then fields and values of meta. An empty value stands for a row that goes."""

REMOVE: Final = """
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
for number = 0, cjson.decode(entry).buckets - 1 do
  redis.call('UNLINK', ARGV[2] .. ARGV[1] .. ':' .. number)
end
return 1
"""
"""Key: staged. Arguments: token, base of bucket names."""
