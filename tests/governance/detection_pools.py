"""Words for made-up columns: people, places, products, remarks."""

from __future__ import annotations

import re


def listed(text: str) -> list[str]:
    """The entries between bars."""
    return [re.sub(r"\s+", " ", entry).strip() for entry in text.split("|")]


ASCII_GIVEN = listed(
    """
    jan | eva | petr | anna | tom | lucy | hans | marie | luca | sofia | adam | nina
    """
)

ASCII_FAMILY = listed(
    """
    novak | smith | meyer | dupont | rossi | garcia | silva | kowalski | berg | jones
    """
)

PEOPLE = {
    "cz": (
        listed(
            """
        Jan | Petr | Eva | Jana | Tomáš | Lucie | Jiří | Tereza | Martin | Kateřina | Pavel | Lenka |
        Miroslav | Hana
        """
        ),
        listed(
            """
        Novák | Svobodová | Dvořák | Černá | Procházka | Kučerová | Veselý | Horáková | Němec | Pokorná
        | Marek | Jelínková
        """
        ),
    ),
    "en": (
        listed(
            """
        James | Mary | Oliver | Olivia | Harry | Emma | George | Isla | Jack | Ava | Charlie | Grace |
        Thomas | Lily | William | Sophie
        """
        ),
        listed(
            """
        Smith | Jones | Taylor | Brown | Wilson | Evans | Thomas | Johnson | Roberts | Walker | Wright |
        Robinson | Thompson | Hughes
        """
        ),
    ),
    "de": (
        listed(
            """
        Hans | Anna | Peter | Ursula | Michael | Monika | Thomas | Petra | Andreas | Sabine | Wolfgang |
        Renate | Jürgen | Karin
        """
        ),
        listed(
            """
        Müller | Schmidt | Schneider | Fischer | Weber | Meyer | Wagner | Becker | Schulz | Hoffmann |
        Schäfer | Koch | Bauer
        """
        ),
    ),
    "es": (
        listed(
            """
        Antonio | María | José | Carmen | Manuel | Josefa | Francisco | Isabel | David | Dolores | Juan
        | Pilar | Javier | Lucía | Iker | Leire
        """
        ),
        listed(
            """
        García López | Martínez Sánchez | Fernández | Gómez Ruiz | Hernández | Díaz Moreno | Álvarez |
        Muñoz Ortega
        """
        ),
    ),
    "it": (
        listed(
            """
        Giuseppe | Maria | Francesco | Giulia | Antonio | Sofia | Andrea | Martina | Luca | Chiara |
        Matteo | Alessia | Ludovica | Tommaso
        """
        ),
        listed(
            """
        Rossi | Russo | Ferrari | Esposito | Bianchi | Romano | Colombo | Ricci | Bruno | Gallo | Conti
        | De | Luca
        """
        ),
    ),
    "pl": (
        listed(
            """
        Anna | Piotr | Katarzyna | Krzysztof | Małgorzata | Andrzej | Agnieszka | Tomasz | Barbara |
        Paweł | Ewa | Jakub | Kinga | Bartłomiej
        """
        ),
        listed(
            """
        Nowak | Kowalska | Wiśniewski | Wójcik | Kowalczyk | Kamińska | Lewandowski | Zielińska |
        Szymański | Woźniak | Dąbrowska
        """
        ),
    ),
    "fr": (
        listed(
            """
        Jean | Marie | Pierre | Nathalie | Michel | Isabelle | Philippe | Sylvie | Alain | Catherine |
        Nicolas | Camille | Léa | Théo | Inès
        """
        ),
        listed(
            """
        Martin | Bernard | Dubois | Thomas | Robert | Richard | Petit | Durand | Leroy | Moreau | Simon
        | Laurent | Lefebvre | Girard
        """
        ),
    ),
    "nl": (
        listed(
            """
        Jan | Johanna | Pieter | Maria | Hendrik | Anna | Sanne | Daan | Fleur | Bram | Femke | Thijs |
        Willem | Lotte
        """
        ),
        listed(
            """
        de Jong | Jansen | de Vries | van den Berg | van Dijk | Bakker | Visser | Smit | Meijer | Mulder
        """
        ),
    ),
    "sk": (
        listed(
            """
        Ján | Mária | Peter | Anna | Jozef | Zuzana | Štefan | Katarína | Michal | Monika | Marek |
        Andrea
        """
        ),
        listed(
            """
        Horváth | Kováčová | Varga | Tóthová | Nagy | Balážová | Szabó | Molnárová | Lukáč | Kováčik |
        Hudák
        """
        ),
    ),
    "se": (
        listed(
            """
        Lars
        """
        ),
        listed(
            """
        Andersson | Johansson | Karlsson | Nilsson | Lindqvist | Bergström | Sjöberg | Holmgren
        """
        ),
    ),
    "cz2": (
        listed(
            """
        Zdeněk | Věra | Ladislav | Alena | Roman | Ivana | Stanislav | Jaroslava
        """
        ),
        listed(
            """
        Růžička | Benešová | Fiala | Sedláčková | Doležal | Zemanová | Kolář | Navrátilová | Čermák
        """
        ),
    ),
    "us": (
        listed(
            """
        Robert | Linda | Jennifer | Michael | Patricia | Christopher | Ashley | Tyler | Brittany |
        Madison
        """
        ),
        listed(
            """
        Miller | Davis | Martinez | Anderson | Jackson | Thompson | Lewis | Ramirez | Nguyen | Flores |
        Mitchell
        """
        ),
    ),
}
"""Given names and family names, by country."""

ADDRESSES = {
    "en": (
        "{n} {s}, {t}",
        listed(
            """
        Baker Street | High Street | Church Road | Park Lane | Victoria Avenue | Mill Lane | Station
        Road
        """
        ),
        listed(
            """
        London | Leeds | Bristol
        """
        ),
    ),
    "de": (
        "{s} {n}, {z} {t}",
        listed(
            """
        Hauptstraße | Bahnhofstraße | Gartenweg | Berliner Allee | Schillerplatz | Lindenstr.
        """
        ),
        listed(
            """
        Berlin | Köln | Ulm
        """
        ),
    ),
    "cz": (
        "{s} {n}, {z3} {z2} {t}",
        listed(
            """
        Vinohradská | Hlavní | Nádražní | Husova ulice | Na Příkopě | tř. Míru
        """
        ),
        listed(
            """
        Praha | Brno | Olomouc
        """
        ),
    ),
    "fr": (
        "{n} {s}, {z} {t}",
        listed(
            """
        rue de Rivoli | avenue Victor Hugo | bd Voltaire | place Bellecour | chemin des Vignes
        """
        ),
        listed(
            """
        Paris | Lyon | Nantes
        """
        ),
    ),
    "es": (
        "{s}, {n}, 2º B, {z} {t}",
        listed(
            """
        Calle Mayor | Avda. de América | C/ Alcalá | Paseo de Gracia | Plaza España
        """
        ),
        listed(
            """
        Madrid | Sevilla | Bilbao
        """
        ),
    ),
    "it": (
        "{s} {n}\n{z} {t}",
        listed(
            """
        Via Roma | Corso Garibaldi | Piazza Dante | Viale Mazzini | Via XX Settembre
        """
        ),
        listed(
            """
        Milano | Torino | Bari
        """
        ),
    ),
    "pl": (
        "{s} {n}/4, {z2}-{z3} {t}",
        listed(
            """
        ul. Długa | al. Jerozolimskie | ul. Marszałkowska | os. Słoneczne | pl. Wolności
        """
        ),
        listed(
            """
        Warszawa | Kraków | Łódź
        """
        ),
    ),
    "nl": (
        "{s} {n}, {z4} {l} {t}",
        listed(
            """
        Keizersgracht | Dorpsstraat | Kerklaan | Stationsplein | Molenweg
        """
        ),
        listed(
            """
        Amsterdam | Utrecht | Breda
        """
        ),
    ),
    "us": (
        "{n} {s}, {t} {z}",
        listed(
            """
        Main St | Oak Ave | Maple Dr | Washington Blvd | 2nd St | Elm Court
        """
        ),
        listed(
            """
        Springfield, IL | Austin, TX | Dayton, OH
        """
        ),
    ),
    "pt": (
        "{s}, {n}, {z4}-{z3} {t}",
        listed(
            """
        Rua das Flores | Avenida da Liberdade | Travessa do Carmo | Praça da República
        """
        ),
        listed(
            """
        Lisboa | Porto | Braga
        """
        ),
    ),
}
"""Form, streets, towns."""

NOTES = {
    "en": listed(
        """
        I never ordered this, order {n} is not mine | the parcel {n} did not arrive in {t} | they
        charged me twice on day {n} and refused to help | my card was used in {t} while I was at home,
        case {n} | please refund {n}, the shop does not answer
        """
    ),
    "de": listed(
        """
        ich habe das Paket {n} nie erhalten | der Händler in {t} antwortet nicht mehr auf Fall {n} | die
        Ware war kaputt und wurde nicht ersetzt {n} | bitte erstatten Sie mir die Zahlung {n} | das war
        nicht meine Karte, ich war nicht in {t} am Tag {n}
        """
    ),
    "cz": listed(
        """
        zásilka {n} nikdy nedorazila a obchod neodpovídá | v {t} jsem nebyl, platba {n} není moje |
        prosím o vrácení peněz za objednávku {n} | zboží bylo poškozené a nechtějí ho vyměnit {n} |
        kartu mi někdo zneužil, když jsem byl doma, {n}
        """
    ),
    "es": listed(
        """
        el pedido {n} no llegó nunca y la tienda no responde | yo no estaba en {t}, este cargo {n} no es
        mío | me han cobrado dos veces por el pedido {n} | quiero que me devuelvan el dinero de {n} | el
        producto llegó roto y no lo cambian {n}
        """
    ),
    "fr": listed(
        """
        je n'ai jamais reçu le colis {n} et le vendeur ne répond pas | je n'étais pas à {t}, ce paiement
        {n} n'est pas le mien | on m'a débité deux fois pour la commande {n} | l'article est arrivé
        cassé et ils ne veulent pas le reprendre {n} | merci de me rembourser {n}
        """
    ),
    "pl": listed(
        """
        paczka {n} nigdy nie dotarła i sklep nie odpowiada | nie byłem w {t}, ta płatność {n} nie jest
        moja | proszę o zwrot za zamówienie {n} | towar był uszkodzony i nie chcą go wymienić {n} |
        pobrano ode mnie dwa razy za {n}
        """
    ),
}

REMARKS = listed(
    """
    ok | checked | see ticket | closed | late | pending review | duplicate | second attempt | manual |
    n/a
    """
)

PRODUCTS = listed(
    """
    iPhone 15 Pro | Galaxy S24 Ultra | Bosch Drill 18V | Espresso Machine | Running Shoes 42 | Office
    Chair Black | Hard Drive 2 TB | Garden Hose 20 m | Kids Bike 16 | LED Bulb 9W | Wool Blanket | Yoga
    Mat Blue | Phone Case | Coffee Beans 1 kg
    """
)

CITIES = listed(
    """
    Prague | Berlin | New York | San Francisco | Santiago | Lyon | Victoria | Charlotte | Sofia | Madrid
    | Porto | Brno | Ulm | Leeds | Oslo | St. Paul | Los Angeles | Sydney | Florence | Austin
    """
)

PHONES = listed(
    """
    iPhone 14 | Pixel 8 | SM-G991B | Xperia 5 IV | Redmi Note 12 | Nokia 3310
    """
)

FIRMS = listed(
    """
    Acme Ltd | Hugo Boss AG | Bakery Novák s.r.o. | Martin & Sons | Apple Store | Shell 1234 | Carrefour
    City | Hotel Victoria | Albert | Kaufland | Lidl Praha | Dr. Max Lékárna | McDonald's | Zara | Tesco
    Express | Uber Trip | Netflix.com | Steam Games
    """
)

DEVICES = listed(
    """
    SM-A536B | iPad13,18 | Pixel 7a | ThinkPad X1 | MacBookPro18,3 | moto g(30) | M2101K6G | CPH2451
    """
)

BRANDS = listed(
    """
    Louis Vuitton | Hugo Boss | Calvin Klein | Samsung | Ralph Lauren | Nike | Adidas | Bosch | Siemens
    | Philips | Puma | Lego | Ikea | Sony | Dell | Lenovo | Under Armour | New Balance | North Face |
    Xiaomi | Miele | Braun
    """
)

MCC_WORDS = listed(
    """
    Eating places and restaurants | Service stations | Grocery stores and supermarkets | Direct
    marketing, other | Taxis and limousines | Computer network services | Hotels, motels and resorts |
    Veterinary services
    """
)

STATIONS = listed(
    """
    Praha hlavní nádraží | Berlin Ostbahnhof | Gare du Nord | King's Cross | Milano Centrale | Wien
    Meidling | Kraków Główny | Brno-Židenice | Lyon Part-Dieu | Utrecht Centraal | Köln Messe/Deutz |
    Bratislava hl. st.
    """
)

AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0 Safari/537.36"
)

IDENTIFIERS = (
    ("UK NINO", "AA 99 99 99 A"),
    ("ES DNI", "X9999999A"),
    ("IT codice fiscale", "AAAAAA99A99A999A"),
    ("FR NIR", "1 yy mm 75 999 999 99"),
    ("NL BSN", "999999999"),
    ("SE personnummer", "yymmdd-9999"),
    ("NO fødselsnummer", "ddmmyy99999"),
    ("DK CPR", "ddmmyy-9999"),
    ("FI HETU", "ddmmyy-999A"),
    ("BE rijksregister", "yy.mm.dd-999.99"),
    ("CH AHV", "756.9999.9999.99"),
    ("TR TCKN", "99999999999"),
    ("CN resident id", "110105yyyymmdd9999"),
    ("IN Aadhaar", "9999 9999 9999"),
    ("RO CNP", "1yymmdd999999"),
    ("HR OIB", "99999999999"),
    ("BG EGN", "yymmdd9999"),
    ("PT NIF", "299999999"),
    ("CA SIN", "199-999-999"),
    ("KR RRN", "yymmdd-1999999"),
    ("BR CPF digits", "99999999999"),
    ("IE PPS", "9999999A"),
)

FORMS_OF_FIRMS = ("GmbH", "s.r.o.", "Ltd", "SAS", "Sp. z o.o.", "Inc")
