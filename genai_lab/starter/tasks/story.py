"""Story opening -> continuation: one character with a want, an obstacle, a friend who helps, an end."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
from dataclasses import dataclass

from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import ACTIVITIES, ITEMS, PLACES, article, draw_owned, frames, people, sentence


@dataclass(frozen=True)
class Script:
    """Wordings of the four parts that belong together; {A} is the hero, {B} the friend."""

    openings: str
    obstacles: str
    helps: str
    ends: str


LOST = Script(
    "{A} was {m}, because {s} had lost {h} {i}.|One morning {A} could not find {h} {i}.|"
    "{A} loved {h} {i}. One {w} day it was gone.|{A} came home from the {p}. Then {s} saw that {h} {i} was gone.|"
    "It was a {w} day at the {p}. {A} had lost {h} {i}.|"
    "There was once a {g} named {A}. {S} lost {h} {i} on the way to the {p}.|"
    "{A} lived near the {p}. One day {s} could not find {h} {i} anywhere.|"
    "Where was the {i}? {A} had left it at the {p}, and now it was not there.|"
    '"My {i} is gone!" said {A}. {S} had lost it at the {p}.|On a {w} morning {A} lost {h} {i} near the {p}.|'
    "{A} was {m} that day. {H} {i} was gone, and nobody knew where it was.|"
    "When {A} woke up, {h} {i} was gone. {S} was very {m}.",
    "{S} went back to the {p2}, but it was not there.|"
    "{S} looked under the bed and behind the door, but {s} found nothing.|"
    "{S} asked a man at the {p2}, but he had not seen it.|{S} walked back to the {p2}, but the {p2} was closed.|"
    "{S} looked for the {i} all day.|First {s} went to the {p2}. Nobody there had seen the {i}.|"
    "{S} asked everyone at the {p2}, but nobody could help {o}.|{S} ran to the {p2} and looked everywhere.|"
    "{S} went from the {p2} to {h} house and back, but {s} did not see it.|"
    "Was it at the {p2}? {S} looked there for an hour and found nothing.|"
    "{S} walked to the {p2} and asked for the {i}, but it was not there.|"
    "{S} looked in every room of the house, and then at the {p2}.",
    '{B} saw {o} and asked, "What is wrong?" {S} told {bo} about the {i}.|'
    'Then {h} friend {B} came. "I will help you," said {B}.|{h2} friend {B} had an idea: a {n} had been in the garden.|'
    '"Do not worry," said {B}. "We will look for it together."|Just then {B} came by with a smile.|'
    "In the evening {s} told {h} friend {B} about it.|{B} heard about the {i} and wanted to help.|"
    "{S} called {B}, and {b} came at once.|{h2} friend {B} came and looked for it too.|"
    '"I can help you," said {h} friend {B}.|{B} came by and saw that {A} was sad.|'
    "Then {s} met {B}, who wanted to help {o}.",
    "Together they found the {i} under a tree.|{B} had found the {i} at the {p2} and gave it to {o}.|"
    "There it was! A {n} sat next to it.|They looked behind the house, and there was the {i}.|"
    "At last they saw the {i} next to the road.|The {i} was behind the door all the time.|"
    "{B} found it behind the sofa, and {s} laughed.|They found it near the {p2}, and it was not broken.|"
    "At last {s} found the {i} in the garden.|Together they looked in the garden, and there it was.|"
    "{B} saw it first. It was under the table!|They found the {i} behind a tree near the {p2}.",
)
WANT = Script(
    "{A} wanted {ai} for {h} birthday.|Every day {A} walked past the {p} and dreamed of {ai}.|"
    "{A} needed {ai}, but {s} had no money.|There was once a {g} named {A}, who wanted {ai} more than anything.|"
    "One {w} morning {A} saw {ai} in a shop near the {p}.|{A} was {m}. {S} wanted to buy {ai} for {h} mother.|"
    "{A} lived near the {p}. {S} had always wanted {ai}.|It was a {w} day, and {A} needed {ai}.|"
    "{A} had seen {ai} in a shop, and now {s} wanted one too.|All {h} friends had {ai}. Only {A} did not have one.|"
    "In a small house near the {p} lived {A}. {S} dreamed of {ai}.|"
    "{A} had only one wish. {S} wanted {ai}.",
    "{S} went to the shop, but the {i} cost too much.|{S} looked in {h} bag, but {s} had only three coins.|"
    "{S} asked {h} father, but he said no.|{S} went to the {p2} to buy one, but it was closed.|"
    "{S} tried to make one, but it broke.|The man in the shop said that the last {i} was sold.|"
    "{S} worked at the {p2} for a week, but it was not enough.|{S} counted {h} money and needed ten coins more.|"
    "{S} asked at the {p2}, but they had no {i} there.|{S} went to three shops, and all of them were closed.|"
    "{S} had some money, but the {i} cost more.|In the shop {s} saw that the {i} was sold.",
    "{h2} friend {B} saw how sad {s} was.|{S} told {h} friend {B} about it.|Then {s} met {B} at the {p2}.|"
    '"I have an idea," said {h} friend {B}. "We can work together."|{B} heard about it and wanted to help.|'
    '{B} smiled and said, "I know what to do."|"Come with me," said {h} friend {B}.|'
    "On the way home {s} met {B}, who asked why {s} was sad.|"
    "Then {h} friend {B} came to help.|{B} saw {o} and had a good idea.|"
    '"I can help you," said {B}, who worked at the {p2}.|{h2} friend {B} thought about it all night.',
    "They washed cars for two days, and then {s} could buy the {i}.|{B} had an old {i} at home and gave it to {o}.|"
    "They made {ai} together, and it looked better than the one in the shop.|"
    "The next day {B} came with a big box. In it was {ai}.|{B} gave {o} the money, and {s} bought the {i}.|"
    "They sold cakes at the {p2}, and soon {s} had {h} {i}.|{B} did not need {bt} {i} and gave it to {o}.|"
    "They carried boxes at the {p2} for a week, and then {s} had the money for the {i}.|"
    "They worked together, and soon {s} had the money for the {i}.|"
    "The next day {s} found the {i} in front of {h} door.|"
    "They sold old books at the {p2}, and then {s} could buy the {i}.|"
    "{B} bought the {i} and gave it to {o} the next day.",
)
PLAN = Script(
    "{A} wanted to {c}, but {s} did not want to go alone.|It was a {w} day. {A} wanted to {c}.|"
    "{A} woke up early, because {s} was going to {c}.|There was once a {g} named {A}, who loved to {c}.|"
    "All week {A} had waited for this day. {S} wanted to {c}.|One {w} morning {A} left the house to {c}.|"
    "{A} was {m} and did not know what to do. Then {s} had an idea: {s} would {c}.|"
    "{A} had promised {h} friend {B} to {c}.|"
    "{A} was at the {p} and wanted to {c}.|On a {w} day {A} wanted to {c} with {h} friend {B}.|"
    "In the morning {A} thought about the day. {S} wanted to {c}.|"
    "{A} lived near the {p}. One day {s} wanted to {c}.",
    "But it began to rain, and {s} had to hide under a tree.|On the way {s} fell and hurt {h} foot.|"
    "But {h} brother was ill, and {s} had to stay at home with him.|"
    "A big {n} stood in front of the house, and {s} was afraid.|"
    "But {s} could not find {h} {i}, and {s} did not want to go without it.|"
    "{S} waited for the bus for an hour, but it did not come.|"
    "At the {p2} {s} saw that {s} had no money.|But {s} took the wrong bus and came to the {p2}.|"
    "But the road was closed, and {s} had to go back.|On the way to the {p2} it began to rain.|"
    "But {s} had lost {h} bag at the {p2}.|{S} waited near the {p2}, but nobody came.",
    '{B} came by and asked, "What is wrong?"|Then {s} called {h} friend {B}.|{B} saw {o} and came to help.|'
    '"Do not worry," said {B}. "I am here."|A {n} came and sat down next to {o}. It was the {n} of {h} friend {B}.|'
    '{B} took {h} hand and said, "Come with me."|{h2} friend {B} had an umbrella and a big cake.|'
    "Just then {s} saw {B} on the other side of the road.|"
    'Then {B} came and asked, "Can I help you?"|{h2} friend {B} saw {o} and smiled.|'
    "Then {s} met {B}, who wanted to help.|{B} heard about it and came at once.",
    "They waited for an hour, and then they went together.|{B} knew a better way, and soon they were there.|"
    "They ate some cake first, and then everything was easy.|Together they were not afraid any more.|"
    "{B} brought {o} to the right place.|They went to the {p2} by bike, and it was a lot of fun.|"
    "{B} told {o} a funny story, and soon {s} felt better.|They changed the plan and went to the {p2}.|"
    "Soon {s} felt better, and they went there together.|{B} knew what to do, and soon everything was fine.|"
    "They went to the {p2} together and had a lot of fun.|They waited at the {p2}, and then they went by bus.",
)
FEELINGS = (
    "{S} was very sad.|{S} felt tired and wanted to go home.|But {s} did not give up.|{S} began to cry.|"
    "{S} sat down and thought about it.|{S} took a deep breath and tried again.|{S} did not know what to do.|"
    "{S} was angry and sad.|It was a bad day for {o}.|{S} sat down near the {p2} and cried.|"
    "{S} felt sad and went home.|{S} did not know where to go.|{S} was tired and sad."
)
CLOSINGS = (
    "{A} was happy.|{A} thanked {B}.|They laughed and went home.|It was the best day of the year.|"
    "{A} slept well that night.|From that day on {A} and {B} were best friends.|{A} danced with joy.|"
    '"Thank you!" said {A}.|{A} smiled. It is good to have a friend.|They ate a big cake at the {p2}.|'
    "{A} never forgot that day.|"
    '"You are my best friend," said {A}.|They were happy and had a lot of fun.|{A} smiled and thanked {B}.|'
    "{A} was happy that night.|{A} thanked {B}, and they went home."
)
SCRIPTS = (LOST, WANT, PLAN)
OUTINGS = [act for act in ACTIVITIES if not act.startswith(("study", "clean", "paint", "have dinner", "bake"))]
MOODS = "sad tired nervous worried angry unhappy".split()
WEATHER = "sunny rainy windy cloudy cold warm foggy hot".split()
ANIMALS = "dog cat bird rabbit horse duck goat mouse".split()
PROMPTS = (
    "Continue the story.\n\n{s}\n\nStory:",
    "Write what happens next in this story.\n\n{s}\n\nNext:",
    "This is the beginning of a story. Write the rest of it.\n\n{s}\n\nRest:",
)


def _slots(rng: random.Random, split: Split) -> dict[str, str]:
    hero, friend = people(rng, split, 2)
    place, item = draw_owned(rng, split, lambda: (rng.choice(PLACES), rng.choice(ITEMS)), lambda pair: pair)
    return {
        "A": hero.name,
        "B": friend.name,
        "s": hero.they,
        "S": sentence(hero.they),
        "o": hero.them,
        "h": hero.their,
        "H": sentence(hero.their),
        "h2": sentence(hero.their),
        "b": friend.they,
        "bo": friend.them,
        "bt": friend.their,
        "g": "girl" if hero.woman else "boy",
        "p": place,
        "p2": rng.choice([other for other in PLACES if other != place]),
        "i": item,
        "ai": article(item),
        "c": rng.choice(OUTINGS),
        "m": rng.choice(MOODS),
        "w": rng.choice(WEATHER),
        "n": rng.choice(ANIMALS),
    }


def story(rng: random.Random, split: Split) -> tuple[str, str]:
    """An opening and its continuation of three to six sentences or a little more."""
    script, slots = rng.choice(SCRIPTS), _slots(rng, split)

    def say(lines: str) -> str:
        return rng.choice(frames(split, lines.split("|"))).format(**slots)

    opening = say(script.openings)
    parts = [say(script.obstacles), *([say(FEELINGS)] if rng.random() < 0.6 else []), say(script.helps)]
    return opening, " ".join([*parts, say(script.ends), say(CLOSINGS)])


def whole_story(rng: random.Random, split: Split) -> str:
    """Opening and continuation as one text."""
    return " ".join(story(rng, split))


class Story:
    name = "story"
    title = "Story continuation"

    def draw(self, rng: random.Random, split: Split) -> Example:
        opening, continuation = story(rng, split)
        return Example(self.name, opening, rng.choice(PROMPTS).format(s=opening), (continuation,))


TASKS.register("story")(Story())
