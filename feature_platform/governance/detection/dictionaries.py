"""Words that names of people are made of, without accents: given names and family names that many people in Europe,
the Americas and Asia have. Words that are better known as something else (Florence, Price, Long) are left out.
"""

from __future__ import annotations

from typing import Final

_FIRST_NAMES: Final = """
    aarav aaron abdul abigail adam adela adriana adriano agata agnes agnieszka ahmed ahmet aida ainhoa aisha
    akira alan albert alberto alejandro aleksander aleksandra alena ales alessandro alex alexander alexandra
    alexandre alexis alfonso alfred alfredo ali alice alicia alina aline allison alma alois alvaro alzbeta
    amanda amelia amelie amina amir amit amparo amy ana ananya anastasia andre andrea andreas andreea andrei
    andrej andreja andres andrew andrzej angel angela angelika angelo anil anita anja ann anna annabel anne
    annette annika anouk anthony anton antoni antonia antonin antonina antonio arjun armin arnaud arnold arthur
    artur arturo ashley astrid aurelie aurora ava axel ayse barbara barbora bart bartosz bas beata beatrice
    beatriz ben benjamin bernadette bernard bernd bianca birgit blanka bogdan bohdan bohumil boris bozena bram
    brenda brian bruna bruno bryan caio camila camille carla carlo carlos carmela carmen carol caroline caterina
    catherine cecile celia celine cesar charles charlotte chen cheryl chiara chloe christa christelle christian
    christiane christina christine christoph christophe christopher cindy claire clara clare claude claudia
    claudio colin concepcion corinne craig cristian cristina cynthia daan dagmar damian damien dana daniel
    daniela danuta darius dariusz david dawid debora deborah debra deepak denis denisa dennis derek diana diane
    didier diego dieter dirk dmitri dolores dominik dominika dominique donald donna doris dorota dorothea
    douglas duarte dusan edoardo eduardo edward eleanor elena elias elisa elisabeth eliska elizabeth elke ellen
    elodie elvira ema emanuel emil emilia emilie emily emma enrico enrique eric erik erika ernst erwin esteban
    estefania esther eugene eugenia eva evie ewa fabian fabio fabrice fatima fatma federico felipe felix
    ferdinand fernando filip finn fiona fleur florian francesca francesco francisco franciszek francois frank
    frantisek franz freddie frederic frederik freya friedrich gabin gabriel gabriela gary gemma georg george
    georges gerald gerard gerda gerhard gheorghe giacomo gianluca gilbert gilles giorgia giovanna giovanni
    gisela giulia giuseppe gloria goncalo gonzalo graham greta grzegorz guido guilherme guillaume gunter gustav
    gustavo guy halina hana hanna hannah hans harald harriet harry hassan hector heidi heike heiko heinrich
    heinz helen helena helene helga hendrik henri henrique henry henryk herbert hermann hilda hiroshi holger
    horst hubert hugo hussein ian iben ibrahim ida ignacio igor ilona inaki ines inga inge ingeborg ingrid ioana
    irena iris isaac isabel isabella isabelle isla ismail ivan ivana ivo iwona izabela jaap jacek jack jacob
    jacqueline jaime jakob jakub james jamie jan jana jane janet janina janusz jarmila jarmo jaroslav jasmin
    jason jasper javier jean jeffrey jennifer jens jeremy jerome jerry jerzy jessica jesus jill jing jiri jitka
    joachim joan joanna joanne joao joaquin jochen joel joerg johan johann johanna johannes john jolanta jonas
    jonathan joost jordan jordi jorge joris jose josef josefa joseph jozef juan judith juergen jules julia
    julian juliane julie julien juliette juraj jurgen justin justyna jutta kai kamil kamila karel karen karin
    karina karl karolina karsten katarina katarzyna kate katerina kateryna katharina kathleen kathrin katja
    katrin kazimierz keith kelly kenji kenneth kerstin kevin kim kiran kirsten klara klaus kornelia kristina
    kristyna krystian krystyna krzysztof kurt kyle ladislav larissa larry lars laura laurence laurent layla lea
    leandro lei lenka leo leon leonardo leonie leszek levi li liam libor lidia lieke lily lina linda lisa lorena
    lorenzo lothar lotte louise lubomir luca lucas lucia luciano lucie ludmila ludwig luigi luis luisa luise
    lukas lukasz luuk lydia maciej madeleine magdalena maite maja malgorzata malte manfred manon manuel manuela
    marc marcel marcela marcelo marcin marco marek margaret margit margot maria marian mariana marianne marie
    marina mario mariola marion marius mariusz marketa markus marlene marlies marlon marta martin martina
    martine mary massimo matej mateo mateusz mathias mathieu mathilde matilde matteo matthew matthias matthijs
    matylda maureen maurice maurizio maxime maximilian megan mehmet mei melanie melissa mercedes mia michael
    michaela michal michel michele michelle mick miguel mihai mikael mikhail mikolaj mikulas mila milada milan
    milena milos miloslav mira miriam miroslav mohamed mohammad mohammed molly monica monika monique moritz
    muhammad nadia nancy naoko natalia natalie natasha nathalie nathan neha neil nicholas nicola nicolas nicole
    niels nieves niklas nikola nikolaus nils nina noah noor norbert norma nuno octavio olaf oleg oleksandr olena
    olga oliver olivia olivier omar ondrej oriane orsolya oscar oskar otakar otto pablo pamela paolo pascal
    patricia patrick patrik patrycja paul paula pauline paulo pavel pavla pavlina pawel pedro peggy penelope
    peter petr petra petronela philip philipp philippa phillip pia pierre pieter pilar piotr piotrek poppy priya
    przemyslaw quentin rachel radek radim radka radoslav rafael rahul raimund rainer raj ralf ralph ramon
    raphael raul ravi raymond rebecca regina reiner renata renate renaud rene ricardo riccardo richard rita
    robert roberto roger rohan roland rolf romain roman ronald rosa rosemary ross roxana ruben rudiger rudolf
    ruth ryan ryszard sabina sabine sally salvatore samantha samuel sana sandra sandrine sanjay santiago sara
    sarah sascha sasha scott sean sebastian sebastien sem sergei sergio severine shannon sharon shirley
    siegfried sigrid silke silvana silvia silvie simon simona simone slawomir sofia sofie soledad sonia sonja
    sophia sophie stacey stanislav stanislava stefan stefania stefanie stefano steffen stepan stephane stephanie
    stephen steven stewart stuart sue sunita susan susana susanne sven svenja svetlana sylvia sylvie sylwia
    szymon tadeusz takashi tamara tania tanja taras tatiana tatjana teresa tereza terry tess thea theodor
    theresa thiago thibault thierry thomas thorsten tiago till tim tina ting tobias todd tom tomas tomaso tomasz
    tony torsten travis trevor ulrich ulrike ursula urszula uta ute uwe vaclav valentina valeria valerie vanessa
    vasile vera verena veronika vicente victor victoria vijay viktor viktoria viktorie vincent vincenzo violeta
    virginia virginie vit vitor vladimir vlasta vojta vojtech volker waldemar walter waltraud wanda wayne wei
    wendy werner wesley wiktor wilfried wilhelm willem william wojciech wolfgang xavier xin yan yann yannick
    yasmin yolanda yuki yusuf yuto yves yvonne zainab zbigniew zdenek zdenka zoe zofia zuzana zuzanna zygmunt
"""
FIRST_NAMES: Final = frozenset(_FIRST_NAMES.split())

_SURNAMES: Final = """
    adamczyk adams aguilar ahmed albrecht almeida alonso alvarez alves amato andersen anderson andre antunes
    araujo arias arnaud arnold aubert azevedo baca bailey bakker balaz baran barbier barbieri barbosa barone
    barros bartos bartosova bauer baumann beck becker beek begum bellini benedetti benes benesova benitez
    bennett benoit berger bergmann bernard bernardi bertrand bianchi bianco blanc blanchard blazek blazkova
    boehm boer bohm bondarenko bonnet bourgeois boyer boyko brandt braun brink brooks brouwer brun brunet bruno
    busch byrne cabrera calvo campbell caputo carbone cardoso carmona carrasco carter caruso carvalho castro
    cattaneo cech celik cermak cermakova cerna cerny chapman chen chevalier choi christensen claes clark clarke
    clement coelho colin collins colombo conte conti coppola correia cortes crespo cunha dabrowska dabrowski
    damico david davies davis dekker delgado deluca demir desantis devries diaz dietrich diez dijkstra dimitrov
    dolezal dolezalova dominguez donati doyle dubois duda dudek dufour dumas dumitru dumont dupont duran durand
    duval dvorak dvorakova edwards egger ellis eriksen eriksson esposito esteban evans fabbri fabre farina faure
    fernandes fernandez ferrara ferrari ferraro ferreira ferrer ferretti ferri fiala fialova figueiredo fischer
    fonseca fontaine fontana fournier francois frank franke fraser friedrich fuchs gaillard gallardo gallego
    galli garcia garnier garrido gatti gauthier gautier gentile georgiev gerard gil gimenez giordano girard
    giraud giuliani gomes gomez goncalves gonzalez goossens gorski graaf grabowska grabowski graham grassi
    grasso greco griffiths groot gruber guerin guerra guerrero guillaume gunther gupta gustafsson gutierrez haas
    hagen hahn hajek hajkova hall hamilton hansen harris hartmann haugen heinrich hendriks henry hernandez
    herrera herrero herrmann hidalgo hoekstra hoffmann hofmann horak horakova horvath horvathova howard huang
    huber hughes huisman hussain ibanez ionescu ito ivanov jablonski jackson jacobs jager jakubowski james
    jankowska jankowski jansen janssen janssens jasinski jaworski jelinek jelinkova jensen jesus jimenez
    johannessen johansen johansson johnsen johnson jones jonsson kaczmarek kaiser kaminska kaminski karlsen
    karlsson kaya keller kelly khan kim knight koch koehler koenig kohler kolar kolarova konecny konig kopecka
    kopecky korhonen koster kovac kovacova kovalenko kovar kovarova kowalczyk kowalska kowalski kozlov kozlowska
    kozlowski kral kralova kramer kraus krause kravchenko krawczyk krejci kristensen kristiansen kriz krizova
    krueger kruger kucera kucerova kuehn kuhn kuipers kumar kuznetsov kwiatkowska kwiatkowski lacroix lambert
    larsen larsson laurent lebedev leclerc leclercq lecomte lefebvre lefevre legrand lehmann lemaire lemoine
    leroux leroy lewandowska lewandowski lewis linden liu lloyd lombardi lombardo longo lopes lopez lorenz
    lorenzo lourenco lozano lucas ludwig macdonald machado madsen maes maier majewski makinen malinowski mancini
    marchand marchetti marciniak marek mariani marin marini marino markova marques marquez marshall martin
    martinelli martinez martini martino martins masson mathieu mayer mazur mccarthy mcdonald medina meier meijer
    mendes mendez mercier mertens messina meunier meyer michalak michalski michel miller moeller molina moller
    molnar montanari monteiro montero moore morales moreau moreira morel morelli moreno moretti morgan morin
    morozov morris moser moya mueller mulder muller munoz murphy murray musil musilova myers nagy nagyova
    nascimento navarro navratil navratilova nelson nemcova nemec neumann nguyen nicolas nielsen nieminen nilsen
    nilsson novak novakova novikov novotna novotny nowak nowakowski nowicki nunes nunez o'brien o'connor o'neill
    oliveira olsen olsson olszewski ortega ortiz ostrowski otto ozturk palmer palmieri palumbo parisi parker
    parra pascual patel pawlak pawlowski payet pedersen peeters pellegrini pellegrino pereira perez perrin
    persson peters petersen peterson petit petrov pettersen pettersson pfeiffer phillips picard pichler pierre
    pietrzak pinto piotrowska piotrowski piras pires pohl pokorna pokorny polak polakova popa popescu popov
    pospisil pospisilova postma prieto prochazka prochazkova ramirez ramos rasmussen reed renard renaud reyes
    ribeiro ricci richard richardson richter rinaldi rivera riviere rizzi rizzo robert roberts robin robinson
    rodrigues rodriguez roger rogers rojas rolland romano romero ross rossetti rossi roth rousseau roussel roux
    ruiz russo rutkowski ruzicka ruzickova ryan sadowski saez sahin sanchez sanders sanna santana santoro sanz
    sato sauer schaefer schafer schmid schmidt schmitt schmitz schneider scholten scholz schouten schreiber
    schroder schroeder schubert schulz schulze schumacher schuster schwarz scott sedlak sedlakova seidel serrano
    shah sharma shaw shevchenko sidorov sikora silva silvestri simek simkova simoes simon simpson singh smirnov
    smit smith smits soares sokolov soler sorensen soto sousa souza stastna stastny steiner stepien stevens
    stewart stoica suarez suzuki svensson svoboda svobodova szewczyk szymanska szymanski tanaka tavares taylor
    teixeira thomas thompson tkachenko tomaszewski torres toth tothova turner urbanova valentini vanek vankova
    varga vargas vargova vazquez veenstra velasco verhoeven vermeulen vesela vesely vicente vidal vieira vincent
    virtanen visser vitale vlcek vlckova vliet vogel vogt voigt volkov vos vries wagner walczak walker walsh
    walter wang watanabe watson webb weber weiss werner wieczorek wijk willems williams wilson winkler
    wisniewska wisniewski witkowski wojciechowski wojcik wouters wozniak wright wrobel wroblewski wu yamamoto
    yang yilmaz zalewski zawadzki zeman zemanova zhang zhao zhou ziegler zielinska zielinski zimmermann
"""
SURNAMES: Final = frozenset(_SURNAMES.split())

SURNAME_ENDINGS: Final = (
    "ova", "ska", "cka", "ski", "cki", "sky", "cky", "enko", "ovic", "evic", "oglu", "sson", "dottir", "iak", "czyk",
    "escu", "ides", "opoulos", "shvili", "yan",
)  # fmt: skip
"""Endings that hardly any other word has, of words with six letters or more."""

_FIRMS: Final = """
    ab ag airlines airport and as asa associates bank bar bv bvba cafe center centre clinic club co college company corp
    corporation cosmetics eood es estate eurl fashion foundation garage gbr gmbh group gruppe holding holdings hospital
    hotel house inc incorporated institute international israel kft kg kg limited llc llp ltd ltda magasin market mbh
    motors nv oy oyj pharmacy plc pub restaurant retail sa sarl sas sasu school sd services shop sia sl solutions sons
    spa spol spzoo srl sro store stores street studio supermarket systems trading und university vof zoo
"""
FIRM_WORDS: Final = frozenset(_FIRMS.split())
"""A text with one of these is a firm or a place."""
