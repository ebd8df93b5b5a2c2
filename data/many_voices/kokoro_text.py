"""Sentences in twelve languages for ``kokoro.py``, written for this project (CC BY-SA 4.0, like the corpus).

A language is an espeak-ng voice name with three lists: beginnings, middles and ends. Any beginning goes with any
middle and any end, which makes more than five hundred sentences a language; what counts is the variety of sounds,
not the sense. Lists are separated by ``|``. English has whole sentences besides.
"""

_PARTS = {
    "en-us": (
        "The old captain|My younger sister|A tired engineer|Every second student|The woman next door|Our new teacher|"
        "Some stranger in a yellow coat|The judge|A clever thief|His grandfather|The farmer's daughter|Nobody here|"
        "The girl with the violin|George, who never sleeps,|A very polite robot|The chef of this restaurant",
        "carefully measured|would rather forget|quietly sold|has never understood|always brings|just discovered|"
        "finally repaired|threw away|painted|refuses to share|often dreams of|should have noticed|borrowed|"
        "was looking for|explained|wrote a long letter about",
        "a box full of rusty keys|the weather in the mountains|three loaves of fresh bread|"
        "the bridge across the river|"
        "those enormous blue whales|an unusual question|the measure of pleasure|half of the orchestra's instruments|"
        "a ship that left at dawn|the rules of this strange game|seventeen thousand paper birds|the noise upstairs|"
        "a photograph of the village church|the cheapest ticket to Chicago|what happened on Thursday|their yoghurt",
    ),
    "es": (
        "El viejo pescador|Mi hermana menor|La vecina de arriba|Un ingeniero cansado|El perro del alcalde|"
        "La profesora de música|Cualquier viajero|Mi abuelo Joaquín|La chica del paraguas rojo|El jefe",
        "siempre olvida|compró ayer|nunca quiso vender|está buscando|guarda en un cajón|dibujó con mucho cuidado|"
        "nos enseñó|lleva a la estación|describe|echa de menos",
        "las llaves de la bodega|un queso muy grande|la guitarra de su padre|el mapa del ferrocarril|"
        "cinco zapatos azules|aquel verano junto al mar|una carta llena de errores|la receta del arroz con pollo|"
        "los juguetes de los niños|el reloj de la iglesia",
    ),
    "fr-fr": (
        "Le vieux boulanger|Ma petite sœur|La voisine du troisième étage|Un ingénieur fatigué|Le chien du maire|"
        "Notre professeur de chant|Un voyageur inconnu|Mon grand-père Julien|La jeune fille au parapluie|Personne",
        "oublie toujours|a acheté hier soir|ne veut plus jamais vendre|cherche depuis longtemps|range dans un tiroir|"
        "a dessiné lentement|nous montre|emporte à la gare|décrit avec plaisir|regrette un peu",
        "les clés de la cave|un fromage énorme|la guitare de son oncle|le plan du chemin de fer|"
        "huit chaussures bleues|"
        "cet été au bord de la mer|une lettre pleine de fautes|la recette du gâteau aux pommes|"
        "les jouets des enfants|"
        "l'horloge de l'église",
    ),
    "it": (
        "Il vecchio pescatore|Mia sorella minore|La vicina del terzo piano|Un ingegnere stanco|Il cane del sindaco|"
        "La maestra di musica|Ogni viaggiatore|Mio nonno Giuseppe|La ragazza con l'ombrello rosso|Il capo",
        "dimentica sempre|ha comprato ieri|non vuole più vendere|sta cercando|conserva in un cassetto|"
        "ha disegnato con cura|ci insegna|porta alla stazione|descrive volentieri|rimpiange",
        "le chiavi della cantina|un formaggio enorme|la chitarra di suo padre|la mappa della ferrovia|"
        "cinque scarpe azzurre|quell'estate vicino al mare|una lettera piena di sbagli|la ricetta degli gnocchi|"
        "i giocattoli dei figli|l'orologio della chiesa",
    ),
    "pt-br": (
        "O velho pescador|Minha irmã mais nova|A vizinha do terceiro andar|Um engenheiro cansado|"
        "O cachorro do prefeito|"
        "A professora de música|Qualquer viajante|Meu avô João|A moça do guarda-chuva vermelho|O chefe",
        "sempre esquece|comprou ontem|nunca quis vender|está procurando|guarda numa gaveta|desenhou com cuidado|"
        "nos ensinou|leva para a estação|descreve com prazer|sente falta de",
        "as chaves do porão|um queijo muito grande|o violão do pai dele|o mapa da ferrovia|cinco sapatos azuis|"
        "aquele verão perto do mar|uma carta cheia de erros|a receita do pão de milho|os brinquedos das crianças|"
        "o relógio da igreja",
    ),
    "hi": (
        "मेरा छोटा भाई|बूढ़ा किसान|हमारा नया शिक्षक|एक थका हुआ यात्री|पड़ोस का लड़का|राजा|मेरा पुराना दोस्त|"
        "डाकिया|दुकान का मालिक|वह अजनबी",
        "हर सुबह बगीचे में|कल शाम को बाज़ार में|नदी के किनारे|बारिश के दिनों में|बिना कुछ कहे|अपने घर की छत पर|"
        "रेलगाड़ी के डिब्बे में|बड़े ध्यान से|पहाड़ों के पीछे|दोपहर के खाने के बाद",
        "लंबी कहानियाँ सुनाता है|पुरानी किताबें पढ़ता है|गर्म चाय पीता था|नीली चिड़िया को देखता रहा|"
        "अपनी चाबी ढूँढता है|"
        "धीरे धीरे गाना गाता था|बच्चों के साथ खेलता है|एक चिट्ठी लिखता रहता है|आम और केले बेचता है|चुपचाप बैठा रहा",
    ),
    "de": (
        "Der alte Kapitän|Meine jüngere Schwester|Die Nachbarin im dritten Stock|Ein müder Ingenieur|"
        "Der Hund des Bürgermeisters|Unsere Musiklehrerin|Jeder Fremde|Mein Großvater|Das Mädchen mit dem Schirm",
        "vergisst immer|kaufte gestern|verkauft nie wieder|sucht schon lange|versteckt in der Küche|"
        "zeichnete sorgfältig|"
        "beschreibt ausführlich|bringt zum Bahnhof|vermisst",
        "die Schlüssel zum Keller|einen riesigen Käse|die Geige seines Vaters|fünf blaue Schuhe|"
        "jenen Sommer am Meer|einen Brief voller Fehler|das Rezept für Apfelkuchen|die Spielzeuge der Kinder|"
        "die Uhr der kleinen Kirche",
    ),
    "nl": (
        "De oude visser|Mijn jongere zus|De buurvrouw van de derde verdieping|Een vermoeide ingenieur|"
        "De hond van de burgemeester|Onze juf|Iedere reiziger|Mijn grootvader|Het meisje met de rode paraplu",
        "vergeet altijd|kocht gisteren|verkoopt nooit meer|zoekt al jaren naar|tekende heel voorzichtig|"
        "beschrijft graag|brengt naar het station|vertelt over|droomt van",
        "de sleutels van de kelder|een reusachtige kaas|de viool van zijn vader|vijf blauwe schoenen|"
        "die zomer aan zee|een brief vol fouten|het recept voor appeltaart|het speelgoed van de kinderen|"
        "de klok van de oude kerk",
    ),
    "pl": (
        "Stary rybak|Moja młodsza siostra|Sąsiadka z trzeciego piętra|Zmęczony inżynier|Pies burmistrza|"
        "Nasza nauczycielka|Każdy podróżny|Mój dziadek|Dziewczyna z czerwonym parasolem",
        "zawsze przynosi|codziennie rysuje|nigdy nie sprzedaje|od dawna ogląda|chowa w szufladzie|"
        "z przyjemnością opisuje|zabiera na dworzec|często wspomina|wciąż naprawia",
        "klucze do piwnicy|ogromne ciasto z jabłkami|skrzypce swojego ojca|pięć niebieskich butów|"
        "tamto lato nad morzem|list pełen błędów|dawne przepisy na zupę|zabawki dzieci|zegar z wieży kościoła",
    ),
    "ru": (
        "Старый рыбак|Моя младшая сестра|Соседка с третьего этажа|Усталый инженер|Собака нашего мэра|"
        "Учительница музыки|Каждый путешественник|Мой дедушка|Девочка с красным зонтиком",
        "всегда забывает|часто рисует|никогда не продаёт|давно ищет|прячет в ящике|с удовольствием описывает|"
        "приносит на вокзал|редко вспоминает|чинит",
        "ключи от подвала|огромный кусок сыра|скрипку своего отца|пять синих ботинок|то лето у моря|"
        "письмо с ошибками|старый рецепт пирога|игрушки маленьких детей|часы на башне",
    ),
    "cmn-latn-pinyin": (
        "wo3 de mei4mei|na4ge lao3 chuan2zhang3|ge2bi4 de lin2ju1|mei3 yi1ge xue2sheng|wo3men de xin1 lao3shi1|"
        "chuan1 huang2 yi1fu de nv3hai2|wo3 ye2ye|zhe4ge ke4ren2",
        "zuo2tian1 xia4wu3 zai4 che1zhan4|mei3tian1 zao3shang|qu4nian2 xia4tian1 zai4 hai3bian1|yi3jing1 san1ci4|"
        "chang2chang2 gen1 peng2you yi4qi3|cong2lai2 bu2 yuan4yi4|xian4zai4 xiang3yao4|fei1chang2 xiao3xin1 de",
        "mai3 wu3 shuang1 lan2se4 de xie2zi|hua4 yi2zuo4 hen3 gao1 de shan1|zhao3 di4xia4shi4 de yao4shi|"
        "xie3 yi4feng1 chang2chang2 de xin4|ting1 qi2guai4 de yin1yue4|zuo4 ping2guo3 dan4gao1|"
        "xiu1li3 jiao4tang2 de zhong1|tan2lun4 bei3fang1 de tian1qi4",
    ),
    "ja": (
        "ふるい せんちょうは|わたしの いもうとは|となりの おばさんは|つかれた ぎしは|あたらしい せんせいは|"
        "しらない りょこうしゃは|きいろい ふくの こどもは|おじいさんは",
        "きのうの ゆうがた えきで|まいあさ にわで|とても ていねいに|なつの うみの そばで|ともだちと いっしょに|"
        "あめの ひに|だいどころの すみで|ひさしぶりに",
        "あおい くつを かいました|たかい やまを かきました|ちかしつの かぎを さがしています|ながい てがみを よみました|"
        "へんな おんがくを ききます|りんごの けーきを つくりました|きょうかいの とけいを なおします|"
        "ぼうえんきょうで ほしを みました",
    ),
}  # fmt: skip

_WHOLE = (
    "Please leave a message after the tone.|Why is the sky darker in the east?|Good morning, how can I help you?|"
    "Turn left at the second traffic light.|I have no idea what you mean!|Fish and chips, twice, with vinegar.|"
    "She sells sea shells by the sea shore.|Where did you put the yellow umbrella?|"
    "Nine, eight, seven, six, five, four.|"
    "A quick brown fox jumps over the lazy dog.|Could you repeat that a little more slowly?|"
    "Well, that was unexpected.|"
    "They live in a small house behind the harbour.|Oh no, not again!|The train to Oxford leaves at half past eight.|"
    "We chose the wrong road and walked for hours.|Thank you, that is very kind of you.|"
    "Both boys enjoyed the noisy toy.|"
    "Judge Julia jumped for joy in June.|Vivid voices vanish over the valley.|"
    "Who would choose to move through the snow?|"
    "Rain fell in sheets and the gutters overflowed.|Let me think about it until tomorrow.|I owe you an apology.|"
    "The museum is closed on Mondays and public holidays.|Add two cups of flour and a pinch of salt.|"
    "Pay the bill at the counter by the door.|How much wood would a woodchuck chuck?|"
    "Thirty three thieves thought of it.|"
    "It was the best concert I have ever heard.|Cold coffee is better than no coffee.|"
    "Watch the moon rise above the roof."
)

SENTENCES = {language: tuple(p.split("|") for p in parts) for language, parts in _PARTS.items()}
SENTENCES["en-gb"] = SENTENCES["en-us"]
WHOLE = _WHOLE.split("|")


def draw_sentence(language: str, random) -> str:
    """One sentence of ``language``, with its full stop or question mark. ``random``: a ``random.Random``."""
    if language in ("en-us", "en-gb") and random.random() < 0.2:
        return random.choice(WHOLE)
    parts = [random.choice(p) for p in SENTENCES[language]]
    return " ".join(parts) + random.choice("....?!")
