"""Words of column names: English, Czech, Slovak, German, French, Spanish, Portuguese, Italian, Polish, Dutch, the
Nordic languages, abbreviations, and the commonest words in other scripts. Without accents, in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from feature_platform.specs.models import Classification

LEXICON: Final[Mapping[Classification, str]] = {
    "payment_card": """
        pan; card number; card no; card num; card nr; card nbr; cardnumber; cardno; cardnum; credit card;
        creditcard; debit card; cc number; cc num; cc no; ccnumber; ccnum; ccn; debit card number; primary
        account number; fpan; dpan; kartennummer; kreditkarte; kreditkartennummer; karten nr; numero carte;
        numero de carte; num carte; carte bancaire; carte bleue; numero tarjeta; numero de tarjeta; num
        tarjeta; tarjeta credito; numero carta; numero cartao; numero do cartao; cartao credito; carta di
        credito; carta credito; cislo karty; numer karty; nr karty; kortnummer; kaartnummer; cislo platobnej
        karty; cislo platebni karty; korttinumero
    """,
    "email": """
        email; e mail; mail; email address; mail address; emailaddress; emailaddr; email addr; eml;
        mailadresse; email adresse; e mail adresse; emailadresse; correo; correo electronico; courriel;
        adresse mail; adresse email; adresse electronique; posta elettronica; indirizzo email; indirizzo
        mail; endereco email; adres email; adres mail; e mailadres; emailadres; sahkoposti; epost; e post;
        mailova adresa; emailova adresa; poczta; poczta elektroniczna
    """,
    "person_name": """
        first name; firstname; fname; last name; lastname; lname; middle name; middlename; full name;
        fullname; given name; givenname; family name; familyname; surname; maiden name; mother maiden name;
        holder name; cardholder; card holder; cardholder name; card holder name; customer name; client name;
        person name; patient name; member name; subscriber name; employee name; account holder;
        accountholder; account holder name; user full name; contact name; contact person; beneficiary name;
        payer name; payee name; sender name; recipient name; receiver name; borrower name; debtor name;
        owner name; name on card; nameoncard; legal name of person; next of kin; spouse name; vorname;
        nachname; familienname; zuname; geburtsname; kundenname; karteninhaber; kontoinhaber;
        ansprechpartner; prenom; nom de famille; nom famille; nom client; nom du client; nom titulaire; nom
        complet; titulaire; nombre completo; nombre cliente; nombre del cliente; nombre titular; nombre y
        apellidos; apellido; apellidos; primer apellido; segundo apellido; titular; nome completo; nome
        cliente; nome do cliente; nome titular; nome e cognome; cognome; intestatario; sobrenome; apelido;
        nome mae; nome pai; jmeno; krestni jmeno; prijmeni; jmeno klienta; jmeno zakaznika; meno a
        priezvisko; priezvisko; krstne meno; meno klienta; drzitel karty; majitel uctu; imie; nazwisko; imie
        i nazwisko; posiadacz karty; fornavn; etternavn; efternavn; fornamn; efternamn; voornaam;
        achternaam; tussenvoegsel; klantnaam; naam klant; rekeninghouder; etunimi; sukunimi
    """,
    "birth_date": """
        birth date; birthdate; date of birth; dateofbirth; birth dt; birthdt; dt of birth; dob; bdate;
        birthday; birth day; born on; born at; geburtsdatum; geburtstag; geb datum; gebdat; geb dat; geburts
        datum; date naissance; date de naissance; datenaissance; date naiss; dat naiss; ddn; naissance;
        fecha nacimiento; fecha de nacimiento; fec nacimiento; fec nac; fecha nac; nacimiento; data nascita;
        data di nascita; nascita; data nascimento; data de nascimento; dt nascimento; dt nasc; data nasc;
        nascimento; datum narozeni; narozeni; dat nar; datum narodenia; narodenie; data urodzenia;
        urodzenia; data ur; geboortedatum; geboorte datum; geb dat; fodselsdato; fodselsdag; fodelsedatum;
        syntymaaika
    """,
    "birth_number": """
        birth number; birthnumber; birth no; rodne cislo; rodnecislo; rodne c; rc klienta
    """,
    "phone": """
        phone; phone number; phonenumber; phone no; phoneno; phone num; phone nr; telephone; telephone
        number; tel; tel no; tel nr; telno; telnr; telefon; telefonnummer; telefon nr; telefono; telefone;
        telefonu; telefonni cislo; telefonne cislo; cislo telefonu; cislo mobilu; mobilni cislo; mobile
        number; mobile no; mobile nr; mobilenumber; mobileno; mobile phone; mobilephone; cell phone;
        cellphone; cell number; cell no; home phone; homephone; work phone; contact number; contact no; fax;
        fax number; faxnummer; msisdn; whatsapp; whatsapp number; handy; handynr; handynummer; rufnummer;
        mobil; mobilnummer; mobiltelefon; numero telephone; numero de telephone; num tel; portable; numero
        portable; telephone portable; movil; telefono movil; numero telefono; celular; num celular;
        telemovel; cellulare; numero cellulare; numer telefonu; nr telefonu; komorka; telefoonnummer;
        telefoon; mobiel; mobiele nummer; puhelin; puhelinnumero; telnummer
    """,
    "ip_address": """
        ip; ip address; ipaddress; ipaddr; ip addr; ip adr; ipv4; ipv6; ip v4; ip v6; clientip; client ip;
        remote addr; remote ip; remoteaddr; source ip; src ip; user ip; x forwarded for; adresse ip;
        direccion ip; indirizzo ip; endereco ip; ip adresa; ip adresse; adres ip; ip adres
    """,
    "national_id": """
        ssn; social security; social security number; social sec no; national id; national id number;
        national identifier; nationalid; identity number; identity card; identity card number; passport;
        passport number; passport no; passport nr; passportno; passportnumber; reisepass; reisepassnummer;
        pas nummer; paszport; numer paszportu; cislo pasu; cestovni pas; pasaporte; passaporto; passaporte;
        nino; ni number; national insurance; national insurance number; nhs number; nhs no; pesel; nr pesel;
        cnp; curp; rfc; cpf; rg; aadhaar; aadhar; aadhaar no; dni; nie; nif; nuip; cedula; codice fiscale;
        cod fiscale; codicefiscale; cod fisc; personnummer; personal number; fodselsnummer; cpr; cpr nummer;
        hetu; henkilotunnus; bsn; burgerservicenummer; rijksregisternummer; personalausweis;
        personalausweisnummer; ausweisnummer; ausweis nr; sozialversicherungsnummer; sv nummer; svnr; steuer
        id; steueridentifikationsnummer; steuernummer; idnr; tax id; taxid; taxpayer id; tin; itin; numero
        securite sociale; numero de securite sociale; num secu; nir; carte identite; documento identidad;
        numero documento; num documento; numero identificacion; documento identita; carta identita; cartao
        cidadao; numero contribuinte; driver license; drivers license; driver licence; driving licence;
        driving license; driver license number; license number driver; fuhrerschein; fuhrerscheinnummer;
        permis conduire; ridicsky prukaz; cislo op; cislo obcanskeho prukazu; obcansky prukaz; cislo
        dokladu; prawo jazdy; dowod osobisty; numer dowodu; nr dowodu; id card; id card number; idcard;
        government id; residence permit; avs number; ahv; ahv nummer; ahv nr; oib; egn; emso; jmbg; rrn
    """,
    "address": """
        address; addr; adr; address line; addressline; street; street address; streetaddress; street name;
        streetname; home address; homeaddress; postal address; mailing address; mailing addr; billing
        address; billingaddress; shipping address; shippingaddress; delivery address; residential address;
        permanent address; residence; place of residence; residence address; house number; house no; house
        nr; adresse; anschrift; strasse; strassenname; hausnummer; haus nr; hausnr; wohnort; wohnadresse;
        rue; adresse postale; adresse domicile; domicile; direccion; direccion postal; calle; domicilio; via
        e numero; indirizzo; indirizzo residenza; residenza; endereco; rua; morada; logradouro; adresa;
        ulice; cislo popisne; bydliste; trvale bydliste; ulica; bydlisko; trvaly pobyt; adres; adres
        zamieszkania; zamieszkania; ulica i numer; straat; straatnaam; huisnummer; huisnr; woonplaats adres;
        woonadres; gateadresse; adressen; osoite; katuosoite
    """,
    "postcode": """
        postcode; post code; postal code; postalcode; postal cd; zip; zip code; zipcode; zip 4; zip plus;
        plz; postleitzahl; code postal; codepostal; cp client; codigo postal; codpostal; cod postal; cap
        postale; codice avviamento; cep; psc; smerovaci cislo; kod pocztowy; kodpocztowy; postnummer;
        postnr; postinumero; postcode huisnummer; pin code
    """,
    "iban": """
        iban; iban number; iban nr; bank account; bankaccount; bank account number; bank account no; bank
        acct; account number; accountnumber; account no; account nr; acct no; acct num; acct nbr; accountno;
        bankverbindung; bankkonto; kontonummer; konto nr; kontonr; numero de compte; numero compte; num
        compte; rib; numero cuenta; numero de cuenta; num cuenta; cuenta bancaria; cuenta corriente; clabe;
        cbu; numero conto; conto corrente; conto bancario; numero conta; conta bancaria; cislo uctu; cislo
        uctu klienta; bankovni ucet; bankovy ucet; numer konta; nr konta; numer rachunku; nr rachunku;
        rekeningnummer; bankrekening; rekening nr; tilinumero; kontonummer kunde
    """,
    "device_id": """
        device id; deviceid; device identifier; device uuid; device fingerprint; devicefingerprint; device
        token; imei; imsi; meid; iccid; idfa; idfv; gaid; aaid; oaid; advertising id; advertisingid; ad id;
        android id; androidid; apple id; mac address; macaddress; mac addr; macaddr; mac adresse; mac
        adresa; browser fingerprint; serial number of device; device serial; device serial number; hardware
        id; hwid; gerate id; geraet id; identifiant appareil; id appareil; id dispositivo; id zarizeni; id
        zariadenia; id urzadzenia; apparaat id
    """,
    "free_text": """
        comment; comments; commentary; free text; freetext; free form text; note; notes; notice text;
        narrative; remark; remarks; memo; message text; message body; messagebody; email body; chat text;
        chat message; transcript; complaint text; complaint; feedback text; review text; kommentar;
        kommentare; anmerkung; anmerkungen; bemerkung; bemerkungen; notiz; notizen; freitext;
        verwendungszweck; commentaire; commentaires; remarque; remarques; texte libre; comentario;
        comentarios; observaciones; observacoes; texto libre; texto livre; commento; commenti; osservazioni;
        testo libero; poznamka; poznamky; komentar; komentare; volny text; uwagi; uwaga; komentarz;
        komentarze; opmerking; opmerkingen; toelichting; kommentti
    """,
}

OTHER_SCRIPTS: Final[Mapping[Classification, str]] = {
    "email": "почта емейл имейл 邮箱 邮件 メール 이메일 البريد ηλεκτρονικό",
    "person_name": "фамилия имя фио отчество прізвище 姓名 名字 氏名 お名前 이름 성명 الاسم όνομα επώνυμο",
    "birth_date": "дата_рождения датарождения дата_народження 出生日期 生日 生年月日 생년월일 γέννησης",
    "phone": "телефон мобильный 电话 手机 電話 携帯 전화 휴대폰 هاتف τηλέφωνο",
    "address": "адрес адреса 地址 住所 주소 العنوان διεύθυνση",
    "national_id": "паспорт снилс инн_физ 身份证 護照 护照 マイナンバー 주민등록 여권 аадхаар αφμ",
    "postcode": "индекс_почт 邮编 郵便番号 우편번호",
    "payment_card": "номер_карты 卡号 カード番号 카드번호",
}
"""Parts of names; matched anywhere, since these scripts do not put words apart as ours do."""

_ABOUT_WORDS: Final = """
    active activity age algorithm allowed asn anzahl avail available avg band bin blocked bounce bounced brand
    bucket campaign capable category cat change changed changes channel class click clicked clicks cnt code
    codes color colour complete confidence confirm confirmed consent cost count countries country counts created
    currency day days deleted delta diff distance domain domains duplicate dup edit enabled error eligible event
    exists expired expiry expires failed feature fee filter first flag format frequency from gap group has hash
    hashed history hour id ids image img in index is issued issuer key kind known label lang language last
    latency latitude len length level liczba limit link list locale longitude lookup manufacturer mask masked
    match matched matches max md mean median method min minutes mismatch missing mode model month months n new
    nbr num number numbers of open opened opens opt opted optin optout order os out parsed pct percent plan
    platform pocet policy pool position pref preference prefix present previous price priority provider quality
    queue rank rate rating ratio reason received region registered reputation required response result retries
    risk role rotation row rule scheme score seconds seen sent series session set sha share since size slot
    source speed stage start state stats status step subject sum suspended tag template test tier time timestamp
    tld to token tokens total traffic trend ttl type types uid unique unit unsubscribed updated url usage use
    used uuid valid validated validation value verified verification verify version volume weight year years
    zone
"""
ABOUT: Final = frozenset(_ABOUT_WORDS.split())
"""Words that make the column a fact *about* the value, where they are no part of the phrase that was recognised."""

_NEUTRAL_ABOUT: Final = """
    first from in last list n nbr new num number numbers of order out previous region row source to value
    history
"""
NEUTRAL: Final = frozenset(_NEUTRAL_ABOUT.split())
"""Those of them that leave the value what it is: ``email_from``, ``new_phone_number``."""

_OF_FIRMS_WORDS: Final = """
    acquirer agency airport atm bank branch brand company corporate dealer department depot district event file
    firma firm host hotel institution issuer manufacturer memory merchant network office organisation
    organization outlet page plant pobocka pobocky pos product project register school server shop site station
    store supplier support team terminal vendor warehouse web
"""
OF_FIRMS: Final = frozenset(_OF_FIRMS_WORDS.split())

_CONTEXT_WORDS: Final = """
    account alt alternate alternative applicant authorised authorized backup beneficiary billing borrower
    business buyer card cardholder client client contact corr correspondence cust customer debtor delivery
    driver emergency employee employer end father guarantor guest home kunde kunden klient klienta login main
    member mother my official orig original owner parent partner passenger patient payee payer permanent person
    personal primary private raw recipient residential secondary seller sender shipping spouse student
    subscriber temp temporary text the user visitor work zakaznik zakaznika cliente clientes usuario utente
    utilisateur kontakt kontaktni
"""
CONTEXT: Final = frozenset(_CONTEXT_WORDS.split())
"""Words that say whose value it is; names that are written in one word are cut at them."""
