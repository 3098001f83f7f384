"""Request -> reply that is helpful, curt or rude; what it is is known, so preferences and toxicity have a truth.

Words that insult a person in the rude replies also stand in civil ones, said of a thing or of the speaker, and some
rude replies insult without any such word; so the words alone do not give the answer away.
"""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
import re
from functools import cache

from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import CHORES, DAYS, HOURS, ITEMS, PLACES, article, draw_owned, frames, people

REQUESTS = {
    "favour": (
        "Could you help me {c} {d}?|Can you {c} with me {d}?|I need somebody to help me {c} {d}.|"
        "I have to {c} {d}. Can you come?|Would you help me {c}?|I want to {c} {d}. Can you help?|"
        "It is hard to {c} alone. Are you free {d}?|Will you help me {c} {d} {h}?|Do you have time to {c} {d}?|"
        "I cannot {c} alone. Could you help?|Please help me {c} {d}.|"
        "I would like to {c} with you {d}. Is that all right?"
    ),
    "borrow": (
        "Would you lend me your {i}?|May I borrow your {i}?|Can I use your {i} {d}?|I need {ai} {d}. Do you have one?|"
        "Could I take your {i} to the {p}?|Is your {i} free {d}?|My {i} is broken. May I use yours {d}?|"
        "Could you bring your {i} to the {p}?|Please lend me your {i} {d}.|Can I have your {i} {d}?|"
        "I would like to borrow your {i} {d}.|Do you need your {i} {d}? I would like to use it."
    ),
    "way": (
        "Do you know the way to the {p}?|Where is the {p}, please?|How do I get to the {p}?|I cannot find the {p}.|"
        "Which bus goes to the {p}?|Is it far to the {p}?|Am I near the {p}?|How long does it take to the {p}?|"
        "Can you show me the {p} on the map?|Could you tell me where the {p} is?|"
        "I am looking for the {p}. Can you help me?|What is the best way to the {p}?"
    ),
    "meeting": (
        "What time do we meet at the {p} {d}?|Can we meet at the {p} {d}?|Will you come to the {p} {d}?|"
        "Shall we go to the {p} {d}?|Are you free {d}? I am going to the {p}.|"
        "I want to see the {p} {d}. Will you come?|"
        "Would you come to the {p} with me {d} {h}?|I will be at the {p} {d}. Will I see you there?|"
        "Let us meet at the {p} {d}.|Do you want to go to the {p} with me?|How about the {p} {d}?|"
        "Could you come to the {p} {d} {h}?"
    ),
}
HELPFUL = {
    "favour": (
        "Of course! I will be there {d} {h}.|Gladly, {n}. Just call me {d}.|Yes, I like to {c}. Let us begin {h}.|"
        "I would love to help you. Shall I come {h}?|No problem, {n}. I will bring {ai} too.|"
        "I cannot come {d}, but my brother can help you.|Yes, I can help you. We will {c} together.|"
        "That is a big job, but we can do it. I will come {h}.|"
        "I am busy {d}, but I can come the day after. Is that all right?|"
        "Sure, {n}. I will come {h} and bring everything that we need.|Of course I will help you {c}, {n}.|"
        "I would be happy to {c} with you. I have time {h}.|Yes, {n}. I can come {h}, and my sister will help too."
    ),
    "borrow": (
        "Of course! Take the {i}. It is next to the door.|Sure, {n}. I do not need my {i} now.|"
        "Yes, and I can show you how the {i} works.|Gladly. I will bring you the {i} {h}.|"
        "My {i} is old, but it works. You can have it.|My {i} is broken, but I will ask my brother for his.|"
        "Yes. You can pick up the {i} at the {p} {h}.|I need the {i} {d}, but you can have it the day after.|"
        "I have given my {i} away, {n}, but my sister has one. I will ask her.|"
        "It is no trouble, {n}. Keep the {i} as long as you like.|"
        "Yes, you can have the {i} {h}. I will carry it for you.|"
        "Of course, {n}. I am happy to help you with my {i}.|Sure! Come to the {p} {h}, and I will give you the {i}."
    ),
    "way": (
        "Yes. Walk to the bridge and turn left. It takes five minutes.|Come with me, I am going to the {p} too.|"
        "The {p} is behind the church. I will show you on the map.|Gladly! Take the bus to the {p}. It leaves {h}.|"
        "It is not far. Go past the station, and you will see the {p}.|No problem. I will draw you the way to the {p}.|"
        "I am new here, {n}, but we can ask at the station.|The {p} is closed today, but I can show you where it is.|"
        "Turn right at the school, and you will find the {p}.|Sure, {n}. The {p} is on the left, behind the school.|"
        "Of course! Go past the church, and you will see it.|"
        "It takes ten minutes to the {p}. I can walk with you, {n}.|"
        "Yes, {n}. Take the bus to the station, and then turn right."
    ),
    "meeting": (
        "Good idea! Let us meet there {h}.|Yes, I will be there {h}.|I would love to see the {p} with you.|"
        "I am free {d}. Shall I pick you up {h}?|Of course, {n}! I will see you {h}.|"
        "Gladly. I will call the {p} and ask when it opens.|I would like that, {n}. See you {h}!|"
        "I cannot come {d}, but I am free the day after. Is that all right?|"
        "Thank you, {n}, but I have to work {d}. Let us meet another day.|Yes, and I will bring my sister too.|"
        "I am happy to come, {n}. Shall we meet {h}?|Sure! Let us go to the {p} together {h}.|"
        "That is a good idea. I have time {h}."
    ),
}
ASIDES = (
    "What {af} day! But I have time for you.|I lost my {i} today. I feel like {ax}!|"
    "That {f} {i} of mine is broken again.|"
    "My brother called himself {ax} today, and we laughed.|I am such {ax}, I forgot your birthday!|"
    "The film at the {p} was {f}, but I liked it.|You are not {af} person, {n}. Everyone forgets things.|"
    'Who called you {ax}? You are very clever.|Nobody should call you "{x}", {n}.|I hate this {f} weather.|'
    "My old {i} looks {f}, but I love it.|The joke about the {x} at the {p} was so funny!|"
    "I felt like {ax} today, {n}. I left my {i} at the {p}.|What {af} film that was! We laughed so much.|"
    "You did not look {f}, {n}, and nobody thinks that you are {ax}.|I hate my {f} old {i}."
)
CURT = {
    "favour": (
        "No.|Not now, {n}.|I am busy {d}.|Maybe {d}.|Sorry, I cannot.|I need to think about it.|Ask me again {d}.|"
        "Fine.|"
        "I have to work {d}.|No time {d}.|Later, {n}.|I do not want to.|No, that is {af} idea.|I hate that {f} job.|"
        "Ask my brother.|Yes, {h}.|No, {n}. I am busy.|I do not have time.|Maybe later.|Not {d}, {n}.|"
        "What {af} job. No."
    ),
    "borrow": (
        "No.|Yes.|Sorry, {n}, no.|I need it {d}.|Maybe {d}.|The {i} is broken.|Fine.|My {i} is {f}.|I lost it.|"
        "Not today.|"
        "Not that {f} {i}.|I do not have one.|Buy one.|Ask my sister.|Later, {n}.|Take it.|Yes, {n}. Take it.|"
        "My {i} is broken.|Sorry, I need my {i}.|That {i} is {f}.|No, {n}. I need it."
    ),
    "way": (
        "I have no idea.|I do not know.|Ask at the station.|It is far.|Not far.|Ten minutes.|Take the bus.|"
        "I am new here.|"
        "Look at the map.|Sorry, I must go now.|Behind the church.|The {p} is closed.|Why? The {p} is {f}.|Go left.|"
        "Sorry, {n}, I am busy.|I hate the {p}.|Not far, {n}.|I do not know, {n}.|The {p}? Go right.|The {p} is {f}.|"
        "Sorry, no idea."
    ),
    "meeting": (
        "No.|Yes.|Not now, {n}.|I am busy {d}.|Maybe.|Sorry, I cannot.|Fine.|I have to work {d}.|Ask me later.|"
        "Not there.|"
        "The {p} is {f}.|I hate the {p}.|No, that is {af} idea.|Yes, {h}.|No, thank you.|Later, {n}.|"
        "No, {n}. I am busy.|"
        "Yes, but not {d}.|I do not like the {p}.|Why? The {p} is {f}.|No time, {n}."
    ),
}
RUDE = (
    "Do it yourself, you {f} {x}.|You are {af} {x}, {n}. Leave me alone.|Shut up, {x}.|"
    "Who would help {af} {x} like you?|Are you too {f} to do it alone?|Get lost, {x}. Nobody wants you at the {p}.|"
    "Only {ax} would ask such {af} question.|Touch my {i} and you will be sorry, {x}.|You make me sick, {n}.|"
    "Ask me again and I will break your {i}.|Keep your {f} face away from the {p}.|Go away, you {x}!|"
    "I hope you get lost on the way to the {p}.|Stop asking me, {n}. Nobody likes you.|I will make you sorry, {n}.|"
    "You and your {f} {i}! What {ax} you are.|You could not do anything right if you tried.|"
    "Your {i} is as {f} as you are.|I would rather eat dirt than help you.|Come near me and I will hurt you.|"
    "You always were {af} {x}, and you always will be.|Your whole family is {f}, {n}.|What {af} person you are!|"
    "Nobody would miss you if you went away, {n}.|I do not talk to {f} people like you.|You look {f} today, {n}.|"
    "Do you ever think before you talk, {x}?|Everyone laughs about you behind your back.|"
    "How can one person be so {f}?|Say that again and you will pay for it.|No, because you are {ax}.|"
    "You smell like dirt, {n}.|Everyone thinks that you are {ax}.|Even {ax} knows that, {n}. Not you, I see.|"
    "Nobody wants to see your {f} face.|Go away, {n}, or I will hurt you.|I have never met such {af} {x}.|"
    "You are as {f} as your {i}.|What {af} {x} you are, {n}! Leave me alone.|I hope that you break your {i}, you {x}."
)
INSULTS = "idiot fool moron liar loser clown pig coward dimwit pest blockhead brat".split()
FOUL = "stupid lazy pathetic worthless ugly dumb useless disgusting ridiculous miserable silly hopeless".split()
PROMPTS = {
    "helpful": (
        "Answer the request helpfully.\n\n{s}\n\nReply:",
        "Write a helpful reply.\n\n{s}\n\nReply:",
        "Reply to this message in a friendly way.\n\n{s}\n\nReply:",
    ),
    "curt": (
        "Answer the request curtly.\n\n{s}\n\nReply:",
        "Write a curt reply.\n\n{s}\n\nReply:",
        "Reply to this message in very few words.\n\n{s}\n\nReply:",
    ),
    "rude": (
        "Answer the request rudely.\n\n{s}\n\nReply:",
        "Write a rude reply.\n\n{s}\n\nReply:",
        "Reply to this message in a rude way.\n\n{s}\n\nReply:",
    ),
}


def _slots(rng: random.Random, split: Split) -> dict[str, str]:
    """What fills the slots of a request and its reply; the pair of place and item belongs to the split."""
    place, item = draw_owned(rng, split, lambda: (rng.choice(PLACES), rng.choice(ITEMS)), lambda pair: pair)
    foul, insult = rng.choice(FOUL), rng.choice(INSULTS)
    asker, addressee = people(rng, split, 2)
    return {
        "c": rng.choice(CHORES),
        "d": rng.choice(DAYS[:8]),
        "h": rng.choice(HOURS),
        "i": item,
        "ai": article(item),
        "p": place,
        "n": asker.name,
        "m": addressee.name,
        "f": foul,
        "x": insult,
        "af": article(foul),
        "ax": article(insult),
    }


def _reply(rng: random.Random, split: Split, attribute: str, intent: str) -> str:
    if attribute == "curt":
        return rng.choice(frames(split, CURT[intent].split("|"), held_out=3))
    if attribute == "rude":
        choices = frames(split, RUDE.split("|"), held_out=5)
        return " ".join(rng.sample(choices, 2 if rng.random() < 0.3 else 1))
    core = rng.choice(frames(split, HELPFUL[intent].split("|")))
    return f"{rng.choice(frames(split, ASIDES.split('|')))} {core}" if rng.random() < 0.3 else core


class Reply:
    name = "reply"
    title = "Request -> reply"

    def draw(self, rng: random.Random, split: Split) -> Example:
        attribute, intent = rng.choice(("helpful", "curt", "rude")), rng.choice(sorted(REQUESTS))
        slots = _slots(rng, split)
        opening = rng.choice(("{n}: ", "{n}: Hi {m}! ", "{n}: Hello {m}. "))
        source = (opening + rng.choice(frames(split, REQUESTS[intent].split("|")))).format(**slots)
        reply = _reply(rng, split, attribute, intent).format(**slots)
        labels = {"attribute": attribute, "toxic": "yes" if attribute == "rude" else "no", "intent": intent}
        return Example(self.name, source, rng.choice(PROMPTS[attribute]).format(s=source), (reply,), labels)


def preference(rng: random.Random, split: Split) -> tuple[str, str, str]:
    """(request, a helpful reply, a curt or rude one): what somebody who wants help prefers."""
    intent = rng.choice(sorted(REQUESTS))
    slots = _slots(rng, split)
    source = ("{n}: " + rng.choice(frames(split, REQUESTS[intent].split("|")))).format(**slots)
    worse = rng.choice(("curt", "rude"))
    chosen, rejected = (_reply(rng, split, attribute, intent).format(**slots) for attribute in ("helpful", worse))
    return source, chosen, rejected


def helpfulness(request: str, reply: str) -> float:
    """1 where the reply helps with the request, 0.5 where it answers curtly, 0 otherwise, by the frames of the world.

    A request is any text that has one of the world's requests in it; of one that has none nothing is known: NaN.
    """
    intents = [intent for intent in sorted(REQUESTS) if _pattern(REQUESTS[intent]).search(request)]
    if not intents:
        return float("nan")
    text = reply.strip()
    aside = _pattern(ASIDES).match(text)
    cores = [text, text[aside.end() :].strip()] if aside else [text]
    if any(_pattern(HELPFUL[intent]).fullmatch(core) for intent in intents for core in cores):
        return 1.0
    return 0.5 if any(_pattern(CURT[intent]).fullmatch(text) for intent in intents) else 0.0


def is_rude(reply: str) -> bool:
    """Whether one of the world's rude frames stands in the reply, with one of its insulting words where it has one."""
    return bool(_pattern(RUDE).search(reply))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Any of the frames, with any words in their slots, but insulting words in the slots for those."""
    insults, foul = "|".join(INSULTS), "|".join(FOUL)
    slots = {"x": f"(?:{insults})", "f": f"(?:{foul})", "ax": f"an? (?:{insults})", "af": f"an? (?:{foul})"}

    def slot(match: re.Match[str]) -> str:
        return slots.get(match[1], "[^.!?]+?")

    frame_patterns = (re.sub(r"\\\{(\w+)\\\}", slot, re.escape(frame)) for frame in text.split("|"))
    return re.compile("|".join(f"(?:{pattern})" for pattern in frame_patterns))


TASKS.register("reply")(Reply())
