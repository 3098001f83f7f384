"""The words of the translation task and the grammar that joins the French ones."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: E501

import re
from dataclasses import dataclass

VOWELS = "aeiouyâàéèêëîïôûhœ"


@dataclass(frozen=True)
class Noun:
    english: str
    french: str
    feminine: bool
    kind: str
    french_plural: str = ""

    @property
    def english_plural(self) -> str:
        if self.english.endswith(("ch", "sh", "s", "x")):
            return self.english + "es"
        if self.english.endswith("y") and self.english[-2] not in "aeiou":
            return self.english[:-1] + "ies"
        return {"knife": "knives", "mouse": "mice", "potato": "potatoes", "tomato": "tomatoes"}.get(
            self.english, self.english + "s"
        )

    def form(self, plural: bool) -> str:
        return (self.french_plural or self.french + "s") if plural else self.french


@dataclass(frozen=True)
class Adjective:
    """`forms`: masculine, feminine, masculine plural, feminine plural; `liaison` before a vowel, masculine singular."""

    english: str
    forms: tuple[str, str, str, str]
    before: bool
    kinds: str
    liaison: str = ""


@dataclass(frozen=True)
class Subject:
    """`person` 0 to 5: je, tu, il/elle, nous, vous, ils/elles."""

    english: str
    french: str
    person: int
    feminine: bool = False

    @property
    def english_owner(self) -> str:
        return ("my", "your", "her" if self.feminine else "his", "our", "your", "their")[self.person]

    @property
    def third(self) -> bool:
        return self.person == 2


@dataclass(frozen=True)
class Verb:
    """`present`: the six forms; `kinds`: letters of the object kinds that the verb takes."""

    base: str
    past: str
    infinitive: str
    participle: str
    present: tuple[str, ...]
    kinds: str

    def english(self, tense: str, negated: bool, subject: Subject) -> str:
        be = ("am", "are", "is", "are", "are", "are")[subject.person]
        if tense == "future":
            return f"{be} {'not ' if negated else ''}going to {self.base}"
        if tense == "past":
            return f"did not {self.base}" if negated else self.past
        if negated:
            return f"{'does' if subject.third else 'do'} not {self.base}"
        return _third(self.base) if subject.third else self.base


@dataclass(frozen=True)
class Place:
    english: str
    preposition: str
    french: str
    feminine: bool


PRONOUNS = (
    Subject("I", "je", 0), Subject("you", "tu", 1), Subject("he", "il", 2), Subject("she", "elle", 2, True),
    Subject("we", "nous", 3), Subject("they", "ils", 5),
)  # fmt: skip
PEOPLE = tuple(
    Subject(english, french, 5 if plural else 2, feminine)
    for english, french, feminine, plural in (
        ("the teacher", "le professeur", False, False), ("the girl", "la fille", True, False),
        ("the boy", "le garçon", False, False), ("my sister", "ma sœur", True, False),
        ("my brother", "mon frère", False, False), ("our neighbour", "notre voisin", False, False),
        ("the doctor", "le médecin", False, False), ("your mother", "ta mère", True, False),
        ("my father", "mon père", False, False), ("the baker", "le boulanger", False, False),
        ("the queen", "la reine", True, False), ("the children", "les enfants", False, True),
        ("my friends", "mes amis", False, True), ("the students", "les étudiants", False, True),
        ("the farmer", "le fermier", False, False), ("her aunt", "sa tante", True, False),
    )
)  # fmt: skip

_NOUNS = """
f food: apple pomme f|orange orange f|cake gâteau m gâteaux|cheese fromage m|egg œuf m|pear poire f|soup soupe f
f food: salad salade f|sandwich sandwich m|lemon citron m|tomato tomate f|potato pomme_de_terre f pommes_de_terre
o thing: table table f|chair chaise f|lamp lampe f|key clé f|glass verre m|knife couteau m couteaux
o thing: coat manteau m manteaux|shirt chemise f|dress robe f|hat chapeau m chapeaux|shoe chaussure f|watch montre f
o thing: car voiture f|bike vélo m|boat bateau m bateaux|ball ballon m|camera appareil_photo m appareils_photo|phone téléphone m
o thing: computer ordinateur m|guitar guitare f|piano piano m|clock horloge f|mirror miroir m|picture tableau m tableaux|flower fleur f
o thing: gift cadeau m cadeaux|ticket billet m|bed lit m
r text: book livre m|letter lettre f|newspaper journal m journaux|story histoire f|message message m|map carte f|poem poème m|article article m
r text: menu menu m|report rapport m|recipe recette f
a animal: dog chien m|cat chat m|bird oiseau m oiseaux|horse cheval m chevaux|rabbit lapin m|duck canard m|mouse souris f souris|cow vache f
a animal: lion lion m|bear ours m ours|elephant éléphant m
p person: friend ami m|cousin cousin m|singer chanteur m|king roi m|nurse infirmière f|actress actrice f|painter peintre m
c container: bag sac m|box boîte f|bottle bouteille f|basket panier m|door porte f|window fenêtre f|umbrella parapluie m
"""
_ADJECTIVES = """
big grand grande grands grandes < foarp|small petit petite petits petites < foarp|beautiful beau belle beaux belles < foarp bel
new nouveau nouvelle nouveaux nouvelles < or nouvel|old vieux vieille vieux vieilles < foarp vieil|good bon bonne bons bonnes < frp
young jeune jeune jeunes jeunes < ap|red rouge rouge rouges rouges > fo|green vert verte verts vertes > fo|black noir noire noirs noires > oa
white blanc blanche blancs blanches > oa|blue bleu bleue bleus bleues > o|yellow jaune jaune jaunes jaunes > fo|grey gris grise gris grises > oa
heavy lourd lourde lourds lourdes > o|cheap bon_marché bon_marché bon_marché bon_marché > o|expensive cher chère chers chères > fo
interesting intéressant intéressante intéressants intéressantes > r|long long longue longs longues < r|strange étrange étrange étranges étranges > oarp
fresh frais fraîche frais fraîches > f|hot chaud chaude chauds chaudes > f|cold froid froide froids froides > f|round rond ronde ronds rondes > o
clean propre propre propres propres > oa|dirty sale sale sales sales > oa|broken cassé cassée cassés cassées > o|funny drôle drôle drôles drôles > rp
famous célèbre célèbre célèbres célèbres > rp|important important importante importants importantes > r|sad triste triste tristes tristes > rap
tired fatigué fatiguée fatigués fatiguées > ap|happy heureux heureuse heureux heureuses > ap
"""
_REGULAR = """
watch watched regarder oarp|look_for looked_for chercher foarp|find found trouver foarp|love loved aimer foarp|hate hated détester foarp
buy bought acheter fora|carry carried porter foa|close closed fermer c|draw drew dessiner foarp|eat ate manger f|keep kept garder fora
forget forgot oublier fora|show showed montrer foar|bring brought apporter for|help helped aider ap|prepare prepared préparer f
wash washed laver oa|break broke casser o|steal stole voler foar|listen_to listened_to écouter arp|photograph photographed photographier foap
count counted compter foar|taste tasted goûter f|cut cut couper f|hide hid cacher foar
present presented présenter frp|touch touched toucher oa|copy copied copier r|cook cooked cuisiner f
"""
_IRREGULAR = """
see saw voir vu vois vois voit voyons voyez voient foarp|take took prendre pris prends prends prend prenons prenez prennent for
read read lire lu lis lis lit lisons lisez lisent r|write wrote écrire écrit écris écris écrit écrivons écrivez écrivent r
sell sold vendre vendu vends vends vend vendons vendez vendent foar|lose lost perdre perdu perds perds perd perdons perdez perdent oar
choose chose choisir choisi choisis choisis choisit choisissons choisissez choisissent foar
receive received recevoir reçu reçois reçois reçoit recevons recevez reçoivent or|open opened ouvrir ouvert ouvre ouvres ouvre ouvrons ouvrez ouvrent c
know knew connaître connu connais connais connaît connaissons connaissez connaissent rp
want wanted vouloir voulu veux veux veut voulons voulez veulent foar
wait_for waited_for attendre attendu attends attends attend attendons attendez attendent rap
"""
_PLACES = """
in the garden|dans|jardin|m;in the kitchen|dans|cuisine|f;at the market|à|marché|m;at the station|à|gare|f;near the house|près de|maison|f
at the school|à|école|f;in front of the church|devant|église|f;behind the hotel|derrière|hôtel|m;near the lake|près de|lac|m
at the museum|à|musée|m;in the street|dans|rue|f;near the river|près de|rivière|f;in the park|dans|parc|m;behind the tree|derrière|arbre|m
at the airport|à|aéroport|m;in the forest|dans|forêt|f;near the bridge|près de|pont|m;in the office|dans|bureau|m;at the library|à|bibliothèque|f
in front of the shop|devant|magasin|m;near the hospital|près de|hôpital|m;under the roof|sous|toit|m
"""
TIMES = {
    "present": (("today", "aujourd'hui"), ("every day", "tous les jours"), ("every morning", "tous les matins"), ("now", "maintenant"),
                ("every evening", "tous les soirs")),
    "past": (("yesterday", "hier"), ("this morning", "ce matin"), ("last week", "la semaine dernière"),
             ("last night", "hier soir"), ("two days ago", "il y a deux jours")),
    "future": (("tomorrow", "demain"), ("tonight", "ce soir"), ("next week", "la semaine prochaine"),
               ("on Monday", "lundi"), ("this summer", "cet été")),
}  # fmt: skip


def _nouns() -> tuple[Noun, ...]:
    match = []
    for line in _NOUNS.strip().splitlines():
        kind, _, tail = line.partition(":")
        for entry in tail.split("|"):
            english, french, gender, *plural = (word.replace("_", " ") for word in entry.split())
            match.append(Noun(english, french, gender == "f", kind[0], plural[0] if plural else ""))
    return tuple(match)


def _kinds(letters: str) -> str:
    # What holds for a thing holds for a container.
    return letters.replace("o", "oc")


def _adjectives() -> tuple[Adjective, ...]:
    match = []
    for entry in _ADJECTIVES.strip().replace("\n", "|").split("|"):
        english, m, f, mp, fp, side, kinds, *liaison = (word.replace("_", " ") for word in entry.split())
        forms = (m, f, mp, fp)
        match.append(Adjective(english, forms, side == "<", _kinds(kinds), liaison[0] if liaison else ""))
    return tuple(match)


def _regular(infinitive: str) -> tuple[str, ...]:
    stem = infinitive[:-2]
    light = {"achet": "achèt"}.get(stem, stem)
    nous = stem + "eons" if stem.endswith("g") else stem + "ons"
    return (light + "e", light + "es", light + "e", nous, stem + "ez", light + "ent")


def _verbs() -> tuple[Verb, ...]:
    match = []
    for entry in _REGULAR.strip().replace("\n", "|").split("|"):
        base, past, infinitive, kinds = (word.replace("_", " ") for word in entry.split())
        forms, participle = _regular(infinitive), infinitive[:-2] + "é"
        match.append(Verb(base, past, infinitive, participle, forms, _kinds(kinds)))
    for entry in _IRREGULAR.strip().replace("\n", "|").split("|"):
        base, past, infinitive, participle, *present, kinds = (word.replace("_", " ") for word in entry.split())
        match.append(Verb(base, past, infinitive, participle, tuple(present), _kinds(kinds)))
    return tuple(match)


def _places() -> tuple[Place, ...]:
    entries = (entry.split("|") for entry in _PLACES.strip().replace("\n", ";").split(";"))
    return tuple(Place(english, preposition, french, gender == "f") for english, preposition, french, gender in entries)


NOUNS, ADJECTIVES, VERBS, PLACES = _nouns(), _adjectives(), _verbs(), _places()


def noun_phrase(noun: Noun, determiner: str, plural: bool, adjective: Adjective | None, subject: Subject) -> str:
    """Determiner, noun and adjective in agreement, the adjective on its side."""
    head = noun.form(plural)
    if adjective is None:
        phrase = head
    else:
        form = adjective.forms[(2 if plural else 0) + (1 if noun.feminine else 0)]
        if adjective.before and adjective.liaison and not plural and not noun.feminine and head[0] in VOWELS:
            form = adjective.liaison
        phrase = f"{form} {head}" if adjective.before else f"{head} {form}"
    return f"{_determiner(determiner, noun.feminine, plural, phrase, subject)} {phrase}"


def _determiner(determiner: str, feminine: bool, plural: bool, phrase: str, subject: Subject) -> str:
    vowel = phrase[0] in VOWELS
    if determiner == "the":
        return "les" if plural else "la" if feminine else "le"
    if determiner == "a":
        return "une" if feminine else "un"
    if determiner == "this":
        return "ces" if plural else "cette" if feminine else "cet" if vowel else "ce"
    person = {"my": 0, "your": 1, "our": 3, "possessive": subject.person}[determiner]
    if person >= 3:
        return ({3: "nos", 4: "vos", 5: "leurs"} if plural else {3: "notre", 4: "votre", 5: "leur"})[person]
    letter = "mts"[person]
    return f"{letter}es" if plural else f"{letter}a" if feminine and not vowel else f"{letter}on"


def french_verb(verb: Verb, subject: Subject, tense: str, negated: bool) -> str:
    """The verb group with its negation: présent, passé composé with avoir, or futur proche."""
    person = subject.person
    if tense == "present":
        finite, tail = verb.present[person], ""
    elif tense == "past":
        finite, tail = ("ai", "as", "a", "avons", "avez", "ont")[person], verb.participle
    else:
        finite, tail = ("vais", "vas", "va", "allons", "allez", "vont")[person], verb.infinitive
    return " ".join(word for word in (["ne", finite, "pas", tail] if negated else [finite, tail]) if word)


def french_place(place: Place) -> str:
    return f"{place.preposition} {'la' if place.feminine else 'le'} {place.french}"


def elide(text: str) -> str:
    """Elision (l', j', n', d') before a vowel, then the contractions au and du."""
    text = re.sub(rf"\b(le|la|je|ne|de) (?=[{VOWELS}])", lambda match: match[1][0] + "'", text)
    text = re.sub(r"\bà le ", "au ", text)
    return re.sub(r"\bde le ", "du ", text)


def _third(base: str) -> str:
    first, space, tail = base.partition(" ")
    if first.endswith(("ch", "sh", "s", "x", "o")):
        first += "es"
    elif first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "s"
    return first + space + tail
