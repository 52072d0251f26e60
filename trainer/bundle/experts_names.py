"""Words that a person understands for groups of Tiny-ImageNet's classes; WordNet has ``instrumentality``."""

from collections import Counter
from collections.abc import Sequence

_MIN_SHARE = 0.22
"""Of a group's classes: a second word that covers fewer is left out."""

_CLASSES_OF = {
    "dogs": "Chihuahua, Yorkshire terrier, golden retriever, Labrador retriever, German shepherd, standard poodle",
    "cats": "tabby, Persian cat, Egyptian cat, cougar, lion",
    "mammals": "koala, dugong, brown bear, guinea pig, hog, ox, bison, bighorn, gazelle, Arabian camel, orangutan, "
    "chimpanzee, baboon, African elephant, lesser panda",
    "birds": "goose, black stork, king penguin, albatross",
    "reptiles and amphibians": "European fire salamander, bullfrog, tailed frog, American alligator, boa constrictor",
    "insects and spiders": "scorpion, black widow, tarantula, centipede, ladybug, fly, bee, grasshopper, "
    "walking stick, cockroach, mantis, dragonfly, monarch, sulphur butterfly, spider web",
    "sea life": "goldfish, trilobite, jellyfish, brain coral, snail, slug, sea slug, American lobster, spiny lobster, "
    "sea cucumber, coral reef, snorkel",
    "landscapes": "alp, cliff, lakeside, seashore, cliff dwelling",
    "buildings and bridges": "altar, barn, beacon, birdhouse, brass, dam, fountain, obelisk, steel arch bridge, "
    "suspension bridge, thatch, triumphal arch, viaduct, water tower, bannister, picket fence, turnstile",
    "poles": "flagpole, maypole, pole, crane, scoreboard, parking meter",
    "shops": "barbershop, butcher shop, confectionery, comic book",
    "vehicles": "beach wagon, bullet train, convertible, freight car, go-kart, gondola, jinrikisha, lawn mower, "
    "lifeboat, limousine, moving van, police van, school bus, sports car, tractor, trolleybus, cannon, projectile",
    "clothes": "academic gown, apron, bikini, bow tie, cardigan, Christmas stocking, fur coat, kimono, "
    "military uniform, miniskirt, poncho, sandal, sock, sombrero, swimming trunks, vestment, sunglasses, backpack, "
    "umbrella, neck brace, gasmask",
    "food": "guacamole, ice cream, ice lolly, pretzel, mashed potato, cauliflower, bell pepper, mushroom, orange, "
    "lemon, banana, pomegranate, meat loaf, pizza, potpie, plate, acorn",
    "bottles and vessels": "barrel, beaker, beer bottle, bucket, pill bottle, pop bottle, teapot, water jug, espresso, "
    "hourglass, candle, wok, frying pan, bathtub",
    "furniture": "chest, desk, dining table, lampshade, refrigerator, rocking chair, sewing machine, space heater, "
    "potter's wheel, organ",
    "devices": "abacus, binoculars, cash machine, CD player, computer keyboard, iPod, magnetic compass, pay-phone, "
    "remote control, stopwatch, reel, oboe, torch",
    "tools": "broom, chain, drumstick, dumbbell, nail, plunger, syringe, wooden spoon",
    "balls and toys": "basketball, punching bag, rugby ball, volleyball, teddy",
}
WORD_OF = {name: word for word, classes in _CLASSES_OF.items() for name in classes.split(", ")}


def group_names(group_of: Sequence[int], classes: Sequence[str]) -> tuple[str, ...]:
    """A name for each group, of the words that most of its classes go by; of two groups of one name both say a class.

    Raises:
        KeyError: a class is not one of Tiny-ImageNet's.
    """
    members = [[classes[row] for row, one in enumerate(group_of) if one == group] for group in range(max(group_of) + 1)]
    names = [_name(one) for one in members]
    return tuple(
        f"{name} ({inside[0]}, {inside[-1]})" if names.count(name) > 1 else name
        for name, inside in zip(names, members, strict=True)
    )


def _name(members: Sequence[str]) -> str:
    counts = Counter(WORD_OF[name] for name in members)
    (first, most), *others = counts.most_common()
    second = [word for word, count in others if count >= _MIN_SHARE * len(members)]
    if most > 0.6 * len(members) or not second:
        return first
    return f"{first}, {second[0]}"
