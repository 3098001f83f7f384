"""Dialogue -> summary: two people, a plan that changes on the way, and what is settled in the end."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
from dataclasses import dataclass

from genai_lab.starter import world
from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import article, draw_owned, frames, people, sentence

TOOLS = {
    "move the sofa": "trolley|rope",
    "fix the roof": "ladder|hammer|saw|drill",
    "paint the kitchen": "ladder|brush|bucket",
    "clean the garage": "bucket|brush|wheelbarrow",
    "carry the boxes": "trolley|wheelbarrow|rope",
    "wash the car": "bucket|garden hose|brush",
    "plant the trees": "wheelbarrow|shovel|garden hose",
    "repair the fence": "hammer|saw|drill|toolbox",
    "water the garden": "bucket|garden hose",
    "hang the pictures": "hammer|drill|ladder",
    "build a shelf": "saw|drill|hammer|toolbox",
    "cut the tree": "saw|ladder|axe",
    "dig a hole": "shovel|axe|bucket",
}
SHOPS = "market|supermarket|bakery|farm shop|corner shop|village shop|station shop|organic shop".split("|")
INGREDIENTS = "onions|tomatoes|butter|cheese|eggs|flour|lemons|carrots|potatoes|mushrooms|salt|oil|milk".split("|")
STORES = "bookshop|market|toy shop|gift shop|supermarket|second-hand shop|sports shop|museum shop".split("|")


@dataclass(frozen=True)
class Topic:
    """Lines of the dialogue (speaker a or b first), and three wordings of the same summary."""

    lines: tuple[str, ...]
    summaries: tuple[str, str, str]


MEETING = Topic(
    (
        "a:Do you want to {act} {day}?|a:I would like to {act} {day}. Are you free?|a:How about this: we {act} {day}.|"
        "a:Shall we {act} {day}?|a:I want to {act} {day}. Will you come?|a:Do you have time {day}? I want to {act}.|"
        "a:Let us {act} {day}.|a:Would you like to {act} {day}?|a:Are you free {day}? We could {act}.|"
        "a:Can we {act} {day}?",
        "b:I am sorry, {excuse}. What about {d2}?|b:{Day} {excuse}. {D2} would be better.|"
        "b:Not {day}, {excuse}. Can we do it {day2}?|b:I cannot, {excuse}. How about {d2}?|"
        "b:Sorry, {excuse}. Maybe {day2}?|"
        "b:I would love to, but {excuse}. Is {d2} fine?|b:That is a bad day, {excuse}. Could we do it {day2}?|"
        "b:Yes, but {excuse} {day}. Let us do it {day2}.|b:No, {excuse}. But I am free {day2}.|"
        "b:I have no time {day}. {D2} is better.",
        "a:{D2} is fine. Where shall we meet?|a:Good, {day2} then. Where and when?|a:Yes, {d2} is fine for me. Where?|"
        "a:That is fine too. Where should I come?|a:All right, {day2}. Where do we meet?|"
        "a:No problem. Where will you be?|"
        "a:Fine. Tell me when and where.|a:I can do that. What time?|a:{D2} is good. When and where?|"
        "a:Good. Where shall I wait for you?",
        "b:Let us meet at the {place} {hour}.|b:At the {place} {hour}.|b:Come to the {place} {hour}, please.|"
        "b:I will wait for you at the {place} {hour}.|b:{Hour} at the {place}.|b:The {place} is best, {hour}.|"
        "b:I will be at the {place} {hour}.|b:We can meet at the {place} {hour}.|b:How about the {place} {hour}?|"
        "b:Be at the {place} {hour}.",
    ),
    (
        "{A} and {B} will {act} {day2}. They will meet at the {place} {hour}.",
        "{A} and {B} plan to {act} {day2} and meet at the {place} {hour}.",
        "{A} wants to {act} with {B}. They will meet {day2} {hour} at the {place}.",
    ),
)
BORROW = Topic(
    (
        "a:I have a question about your {tool}.|a:Do you still have your {tool}?|a:I need {atool} {day}.|"
        "a:Is your {tool} free {day}?|a:I am looking for {atool}.|a:You have {atool}, right?|"
        "a:May I borrow your {tool} {day}?|"
        "a:Could you lend me your {tool}?|a:Do you need your {tool} {day}?|a:I would like to borrow your {tool}.",
        "b:Would you like to have mine?|b:Maybe. Would you like to borrow it?|b:I have one. What do you need it for?|"
        "b:I have one. What is it for?|b:Why do you ask?|b:Do you want mine?|b:What do you want to do with it?|"
        "b:My {tool}? What for?|b:Tell me what you need it for.|b:Maybe. What is it for?",
        "a:I want to {chore}. Can I get it {day}?|a:I have to {chore}, and mine is broken.|a:I must {chore} {day}.|"
        "a:I promised to {chore}. May I have it?|a:I want to {chore}. Could I take it {day}?|a:I need it to {chore}.|"
        "a:We have to {chore}, and I need it {day}.|a:I am going to {chore} {day}.|a:I would like to {chore} {day}.|"
        "a:It is time to {chore}.",
        "b:You can have it, but only {day2}. I will bring it to the {place}.|"
        "b:I need it {day}. Take it {day2} at the {place}.|"
        "b:{D2} is better. You can get it at the {place}.|b:Fine, I will give it to you {day2} at the {place}.|"
        "b:Sure, but not before {d2}. Meet me at the {place}.|b:Of course. You get it {day2} at the {place}.|"
        "b:I can bring it to the {place} {day2}.|b:Come to the {place} {day2}, and you can have it.|"
        "b:Let us meet {day2} at the {place}, and I will give it to you.|b:You can pick it up at the {place} {day2}.",
    ),
    (
        "{A} wants to borrow {B}'s {tool} to {chore}. {A} will get it {day2} at the {place}.",
        "{B} will lend {A} the {tool} to {chore}. {A} will get it {day2} at the {place}.",
        "{A} needs {B}'s {tool} to {chore} and will get it {day2} at the {place}.",
    ),
)
SHOPPING = Topic(
    (
        "a:I am going to the {shop}. Do you need anything?|a:I will stop at the {shop} {day}. What do we need?|"
        "a:Shall I bring you something from the {shop}?|a:I am at the {shop} now. Do we need food?|"
        "a:I go to the {shop} {day}. Is there anything you want?|a:The {shop} is open. Should I buy something?|"
        "a:I have to go to the {shop}. What can I get for you?|a:What should I buy at the {shop}?|"
        "a:What do you need from the {shop}?|a:I will go to the {shop} {day}. Should I bring something?",
        "b:Yes, {food1} and {food2}, please.|b:We need {food1} and {food2}.|b:Please get {food1} and {food2}.|"
        "b:I would like {food1} and {food2}.|b:Could you buy {food1} and {food2}?|b:Bring {food1} and {food2}.|"
        "b:I need {food1}, and {food2} too.|b:Yes, please buy {food1} and {food2}.|"
        "b:Get {food1} and {food2}, please.|b:I want {food1} and {food2}.",
        "a:We still have {food1} at home.|a:I bought {food1} yesterday.|"
        "a:There is enough left of the {food1}, I think.|"
        "a:I saw {food1} in the kitchen.|a:But my sister gave us {food1}.|a:No, we have {food1} already.|"
        "a:We do not need {food1}.|a:There are two bags of {food1} at home.|a:I think we still have {food1}.|"
        "a:But we have {food1} in the kitchen.",
        "b:Oh good. Then only {food2} and {food3}.|b:Right. Get {food3} with the {food2}.|"
        "b:Then take {food2} and {food3}.|"
        "b:I forgot. Buy {food2} and also {food3}.|b:True! So just {food2} and {food3}.|"
        "b:Then we need {food2} and {food3}.|"
        "b:Then bring {food2}, and {food3} too.|b:Good. I want {food3} with my {food2}.|"
        "b:Right. Then buy {food2} and {food3}.|"
        "b:Oh yes. So we need {food2}, and also {food3}.",
    ),
    (
        "{A} will buy {food2} and {food3} at the {shop} for {B}. They still have {food1}.",
        "{A} will go to the {shop} and bring {B} {food2} and {food3}. They still have {food1}.",
        "{B} asks {A} to buy {food2} and {food3} at the {shop}. They do not need {food1}.",
    ),
)
HELP = Topic(
    (
        "a:I need to {chore}, but I cannot do it alone.|a:Could you help me {chore}?|a:I need help with something.|"
        "a:I am trying to {chore}, and it is too much for me.|a:I need your help.|a:I have a lot of work at home.|"
        "a:Would you help me {chore}?|a:Can you help me with something?|a:There is so much to do here. Can you help?|"
        "a:I need somebody to help me.",
        "b:What do you need?|b:Sure. What is the plan?|b:I can help you. When?|b:Yes, tell me more.|"
        "b:Of course. What day?|"
        "b:No problem. When is it?|b:Maybe. When would that be?|b:Tell me when.|b:Yes. What shall we do, and when?|"
        "b:Sure, when?",
        "a:I want to {chore} {day}.|a:{Day}, if you can. I have to {chore}.|a:We should {chore} {day}.|"
        "a:I thought we could {chore} {day}.|a:Maybe {day}? We have to {chore}.|a:The plan is to {chore} {day}.|"
        "a:Can we {chore} {day}?|a:I must {chore}. Can you come {day}?|a:I would like to {chore} {day}.|"
        "a:Let us {chore} {day}.",
        "b:{Day} {excuse}. I will come {day2} {hour} and bring {atool}.|"
        "b:I can only come {day2} {hour}. I have {atool} too.|"
        "b:I cannot, {excuse}, but {day2} {hour} is fine. I will bring {atool}.|"
        "b:Let us do it {day2} {hour}. I will bring {atool}.|"
        "b:{Day2} {hour} is better for me. You can use my {tool}.|b:Fine, but {day2} {hour}. I can bring my {tool}.|"
        "b:I have no time {day}. I will be there {day2} {hour} with my {tool}.|"
        "b:Not {day}, but {day2} {hour}. I will take my {tool} with me.|"
        "b:Sorry, {excuse}. I can come {day2} {hour} with {atool}.|"
        "b:I will come {day2} {hour}, and we can use my {tool}.",
    ),
    (
        "{B} will help {A} {chore}. {B} will come {day2} {hour} and bring {atool}.",
        "{A} needs help to {chore}. {B} will come {day2} {hour} and bring {atool}.",
        "{A} asks {B} for help to {chore}. {B} will come {day2} {hour} with {atool}.",
    ),
)
GIFT = Topic(
    (
        "a:It is {C}'s birthday {day}. What shall we buy?|a:We need a present for {C}'s birthday.|"
        "a:{C} has a birthday {day}.|"
        "a:Do you have an idea for {C}'s birthday?|a:What could we give {C}?|a:{C} invited us {day}. What do we bring?|"
        "a:What does {C} want for {ch} birthday?|a:I need a birthday present for {C}.|"
        "a:{C} will have {ch} birthday {day}.|"
        "a:What can we buy for {C}'s birthday?",
        "b:How about {aitem}?|b:Maybe {aitem}.|b:I thought of {aitem}.|b:{C} always wanted {aitem}.|"
        "b:We could give {co} {aitem}.|"
        "b:{Aitem}, maybe?|b:I would buy {aitem}.|b:Let us get {aitem}.|b:What about {aitem}?|"
        "b:I think {cs} would like {aitem}.",
        "a:{Cs} has one already. I would rather buy {aitem2}.|a:That is too expensive. Let us get {aitem2}.|"
        "a:No, {cs} got one last year. {Aitem2} is better.|a:I think {aitem2} is a better present.|"
        "a:{Cs} does not like that. Why not {aitem2}?|a:No, I would rather give {co} {aitem2}.|"
        "a:{Cs} does not need that. How about {aitem2}?|a:Not bad, but {aitem2} is better.|"
        "a:But {cs} has one. I would give {co} {aitem2}.|"
        "a:No, that is too big. Let us buy {aitem2}.",
        "b:You are right. I will buy it at the {store}.|b:Good idea. I can get it at the {store}.|"
        "b:Yes! I will find one at the {store}.|b:Fine, I am going to the {store} anyway.|"
        "b:Good. The {store} has one, and I will get it.|"
        "b:Then I will look for it at the {store}.|b:Good. I will go to the {store} {day2}.|"
        "b:I saw one at the {store}. I will buy it.|"
        "b:All right, I will go and get it at the {store}.|b:Yes. I can buy that at the {store}.",
    ),
    (
        "{A} and {B} will give {C} {aitem2}. {B} will buy it at the {store}.",
        "{A} and {B} want to give {C} {aitem2} for {ch} birthday. {B} will get it at the {store}.",
        "{B} will buy {aitem2} for {C}'s birthday at the {store}.",
    ),
)
DINNER = Topic(
    (
        "a:What shall we eat {day}?|a:I am hungry. What are we having {day}?|a:Shall I cook {dish1} {day}?|"
        "a:Let us have dinner {day}.|a:I want to cook for us {day}.|a:Would you like {dish1} {day}?|"
        "a:Come to dinner {day}!|"
        "a:I could make {dish1} {day}.|a:What would you like to eat {day}?|a:I will cook dinner {day}.",
        "b:I had {dish1} yesterday. I would like {dish2}.|b:Not {dish1}, please. {Dish2} would be nice.|"
        "b:I do not like {dish1} so much. Can we have {dish2}?|b:{Dish2}! I am tired of {dish1}.|"
        "b:Could we try {dish2} instead of {dish1}?|b:No {dish1}, please. Maybe {dish2}?|"
        "b:I always eat {dish1}. Could you make {dish2}?|"
        "b:I would rather have {dish2} than {dish1}.|b:Can we have {dish2}? I had {dish1} last week.|"
        "b:I want {dish2}, not {dish1}.",
        "a:Fine, I will make {dish2}. We need {ingredient}.|a:{Dish2} is a good idea, but I have no {ingredient}.|"
        "a:All right, {dish2}. Do you have {ingredient}?|a:Good. But we have no {ingredient} left.|"
        "a:I like that too. We need {ingredient}.|"
        "a:Then I will make {dish2}. I need {ingredient} for that.|a:Good idea. But there is no {ingredient} here.|"
        "a:I can do that, but I need {ingredient}.|a:All right. But I do not have {ingredient}.|"
        "a:Fine, but for {dish2} I need {ingredient}.",
        "b:I will bring {ingredient} and come {hour}.|b:I can buy {ingredient}. I will be there {hour}.|"
        "b:No problem, I have {ingredient}. I will come {hour}.|"
        "b:I can bring {ingredient} {hour}.|b:I will be with you {hour} and bring {ingredient}.|"
        "b:I have {ingredient} at home. I can come {hour}.|"
        "b:Then I will come {hour} with {ingredient}.|b:I will get {ingredient} and be there {hour}.|"
        "b:I will bring {ingredient}. Is it fine if I come {hour}?|"
        "b:{Hour} I will be there with {ingredient}.",
    ),
    (
        "{A} will cook {dish2} {day}. {B} will come {hour} and bring {ingredient}.",
        "{A} and {B} will have {dish2} {day}. {B} will come {hour} and bring {ingredient}.",
        "{B} wants {dish2}, and {A} will cook {day}. {B} will come {hour} with {ingredient}.",
    ),
)
LOST = Topic(
    (
        "a:I cannot find my {item}.|a:Did you see my {item}?|a:I lost my {item} yesterday.|a:My {item} is gone.|"
        "a:I have looked for my {item} all day.|a:Somebody took my {item}!|a:Where is my {item}?|"
        "a:Do you know where my {item} is?|"
        "a:I am looking for my {item}.|a:I think I lost my {item}.",
        "b:When did you have it last?|b:Did you look at the {place}?|b:Where were you yesterday?|"
        "b:Did you take it to the {place}?|"
        "b:Oh no. Where did you leave it?|b:Where did you go with it?|b:Where did you see it last?|"
        "b:Did you leave it at the {place}?|"
        "b:Where did you have it last?|b:Oh no. Did you look at the {place}?",
        "a:I was at the {place} and at the {place2}.|a:I had it at the {place}.|"
        "a:I went to the {place}, and then to the {place2}.|"
        "a:I think I had it at the {place}.|a:Maybe I left it at the {place}.|"
        "a:Maybe at the {place}, but I asked there.|"
        "a:It was with me at the {place}.|a:I was only at the {place}.|a:I think it was at the {place}.|"
        "a:At the {place}, but it is not there.",
        "b:{C} found {aitem} at the {place2}. Call {co}.|b:I heard that {C} has it. {Cs} was at the {place2}.|"
        "b:Wait, {C} saw one at the {place2}. Ask {co}.|b:I know! {C} found one at the {place2}.|"
        "b:{C} told me about {aitem} at the {place2}. Talk to {co}.|b:Ask {C}. {Cs} found {aitem} at the {place2}.|"
        "b:{C} took one home from the {place2}. Go and ask {co}.|b:Then call {C}. {Cs} saw {aitem} at the {place2}.|"
        "b:I think {C} found it at the {place2}. Ask {co}.|b:{C} was at the {place2} and found {aitem}.",
    ),
    (
        "{A} lost {aitem}. {C} found it at the {place2}.",
        "{A} cannot find the {item}. {B} says that {C} found it at the {place2}.",
        "{A} lost {aitem}. {B} says that {C} found it at the {place2}.",
    ),
)
TOPICS = {
    "meeting": MEETING,
    "borrow": BORROW,
    "shopping": SHOPPING,
    "help": HELP,
    "gift": GIFT,
    "dinner": DINNER,
    "lost": LOST,
}
AGREED = (
    "a:Thanks!|a:Perfect.|a:Great, thank you.|a:That sounds good.|a:Wonderful, thank you!|a:Good, thanks, {B}!".split(
        "|"
    )
)
LAST = "b:You are welcome.|b:See you, {A}!|b:Bye!|b:Take care.|b:No problem.|b:Until then!".split("|")
PROMPTS = (
    "Summarize the dialogue.\n\n{s}\n\nSummary:",
    "Write a short summary of this conversation.\n\n{s}\n\nSummary:",
    "{s}\n\nSummarize the dialogue above:",
)


def _slots(rng: random.Random, split: Split) -> dict[str, str]:
    """What fills the slots; the pairs of place and day, and of chore and hour, belong to the split."""
    a, b, c = people(rng, split, 3)
    days = world.DAYS[:8]
    place, day2 = draw_owned(rng, split, lambda: (rng.choice(world.PLACES), rng.choice(days)), lambda x: x)
    chore, hour = draw_owned(rng, split, lambda: (rng.choice(list(TOOLS)), rng.choice(world.HOURS)), lambda x: x)
    tool, day = rng.choice(TOOLS[chore].split("|")), rng.choice([other for other in days if other != day2])
    item, item2 = rng.sample(world.ITEMS, 2)
    food1, food2, food3 = rng.sample(world.FOODS, 3)
    ingredient = rng.choice(INGREDIENTS)
    dish1, dish2 = rng.sample(world.DISHES, 2)
    slots = {
        **{"A": a.name, "B": b.name, "C": c.name, "cs": c.they, "co": c.them, "ch": c.their, "Cs": sentence(c.they)},
        **{"day": day, "day2": day2, "d2": day2.removeprefix("on "), "hour": hour, "place": place},
        **{"place2": rng.choice([other for other in world.PLACES if other != place])},
        **{"act": rng.choice(world.ACTIVITIES), "chore": chore, "tool": tool, "excuse": rng.choice(world.EXCUSES)},
        **{"shop": rng.choice(SHOPS), "store": rng.choice(STORES), "item": item, "atool": article(tool)},
        **{"aitem": article(item), "aitem2": article(item2), "dish1": dish1, "dish2": dish2},
        **{"ingredient": ingredient, "food1": food1, "food2": food2, "food3": food3},
    }
    capitals = ("day", "day2", "d2", "hour", "aitem", "aitem2", "dish2")
    return slots | {sentence(key): sentence(slots[key]) for key in capitals}


def dialogue(rng: random.Random, split: Split) -> tuple[str, tuple[str, ...]]:
    """A dialogue of 4 to 8 turns and its three summaries."""
    topic = TOPICS[rng.choice(sorted(TOPICS))]
    slots = _slots(rng, split)
    turns = [rng.choice(frames(split, line.split("|"))) for line in topic.lines]
    if rng.random() < 0.5:
        greeting, answer = rng.choice(world.GREETINGS)
        turns = ["a:" + greeting, "b:" + answer, *turns]
    if rng.random() < 0.7:
        turns.append(rng.choice(AGREED))
        turns += [rng.choice(LAST)] if rng.random() < 0.5 else []
    names = {"a": slots["A"], "b": slots["B"]}
    lines = [f"{names[turn[0]]}: {turn[2:].format(**slots, **names)}" for turn in turns]
    return "\n".join(lines), tuple(summary.format(**slots) for summary in topic.summaries)


class Summary:
    name = "summary"
    title = "Dialogue -> summary"

    def draw(self, rng: random.Random, split: Split) -> Example:
        source, summaries = dialogue(rng, split)
        references = (rng.choice(summaries),) if split == "train" else summaries
        return Example(self.name, source, rng.choice(PROMPTS).format(s=source), references)


TASKS.register("summary")(Summary())
