"""The cut-outs that the demo is made of: which, of what class, in which words, and how large in the world.

Only photographic stamps of Debian's ``tuxpaint-stamps-default`` whose upstream notes (CHANGES, CONTRIBUTORS) allow
the GPL. Left out on purpose: every stamp that upstream credits under the GFDL or a Creative Commons licence alone
(the Beetle, the green bus, the fire engine, all music instruments, ...) and those from a stock photo site (grapes,
pineapple, ...).
"""

from dataclasses import dataclass
from pathlib import Path

STAMP_FOLDER = Path("/usr/share/tuxpaint/stamps")

# Real lengths are of the longest side of the visible part, in metres.
# path | class | adjective | noun | metres | more phrases, separated by ;  ("?" = the colour is measured in the picture)
TABLE = """
animals/mammals/dogs/dog | dog | grey and white | dog | 0.85 | a husky; a dog with a curled tail
animals/mammals/dogs/dingo | dog | light brown | dog | 0.75 | a dingo
animals/mammals/dogs/fox | fox | red | fox | 0.75 | a sitting fox
animals/mammals/equines/horse | horse | ? | horse | 2.4 | a standing ? horse
animals/mammals/equines/zebra | zebra | striped | zebra | 2.2 | a zebra; a black and white striped zebra
animals/mammals/bovines/cow | cow | brown | cow | 2.3 | a brown cow with a bell
animals/mammals/bovines/cow_white | cow | white | cow | 1.65 | a white cow seen from the front
animals/mammals/bovines/bull | cow | black | bull | 1.9 | a black bull with horns
animals/mammals/bovines/zebu | cow | white | zebu | 2.2 | a zebu; a white ox with horns
animals/mammals/bovines/ram | sheep | white | ram | 1.25 | a ram with curled horns
animals/mammals/bovines/sheep | sheep | white | sheep | 1.2 | a grazing sheep; a woolly sheep
animals/mammals/bovines/sheep_lamb | sheep | black and white | lamb | 0.75 | a young lamb
animals/mammals/bovines/goat | goat | brown and white | goat | 1.2 | a goat with horns
animals/mammals/bovines/mountaingoat | goat | brown | mountain goat | 1.2 | a chamois; a standing mountain goat
animals/mammals/pig | pig | pink | pig | 1.4 | a fat pig
animals/mammals/pig_golden | pig | ginger | pig | 1.25 | a ginger pig looking for food
animals/mammals/pig_golden2 | pig | ginger | pig | 1.4 | a pig lying down
animals/mammals/deer/caribou | deer | grey | reindeer | 2.0 | a caribou; a reindeer with large antlers
animals/mammals/deer/deer | deer | brown | deer | 1.8 | a stag seen from the front
animals/mammals/deer/doe | deer | spotted | deer | 1.2 | a young doe; a fawn with white spots
animals/mammals/deer/wapiti | deer | light brown | stag | 2.2 | a wapiti; an elk with antlers
animals/mammals/bears/bear | bear | dark brown | bear | 1.9 | a large brown bear
animals/mammals/bears/european-bear | bear | light brown | bear | 1.9 | a walking bear
animals/mammals/elephant | elephant | grey | elephant | 3.9 | an African elephant with tusks
animals/mammals/giraffe | giraffe | spotted | giraffe | 4.6 | a tall giraffe
animals/mammals/camel/camel | camel | brown | camel | 2.8 | a camel with two humps
animals/mammals/camel/dromedary | camel | golden | dromedary | 2.7 | a camel with one hump
animals/mammals/cats/lion-2 | big cat | brown | lion | 2.3 | a male lion; a standing lion
animals/mammals/cats/lion | big cat | golden | lion | 2.4 | a lion lying down
animals/mammals/cats/tiger | big cat | orange | tiger | 2.0 | a tiger lying down; a striped tiger
animals/mammals/rabbit_little | rabbit | white | rabbit | 0.36 | a white rabbit with black ears
animals/mammals/rodents/rabbit-2 | rabbit | white | rabbit | 0.45 | a rabbit with big ears
animals/mammals/rodents/rabbit | rabbit | light grey | hare | 0.5 | a running hare
animals/mammals/rodents/squirrel | rodent | grey | squirrel | 0.34 | a squirrel with a bushy tail
animals/mammals/rodents/marmot | rodent | brown | marmot | 0.55 | a sitting marmot
animals/mammals/rodents/beaver | rodent | brown | beaver | 0.65 | a beaver
animals/mammals/rodents/mouse | rodent | dark brown | mouse | 0.2 | a small mouse
animals/mammals/rodents/rat | rodent | brown | rat | 0.32 | a rat
animals/birds/chicken_profile | chicken | grey | hen | 0.45 | a grey chicken
animals/birds/hen | chicken | brown | hen | 0.45 | a brown chicken
animals/birds/rooster | chicken | orange | rooster | 0.55 | a colourful rooster; a cock with a red comb
animals/birds/penguin | penguin | black and white | penguin | 1.0 | an emperor penguin
animals/birds/magellanic_penguin | penguin | black and white | penguin | 0.75 | a Magellanic penguin
animals/birds/little-penguin | penguin | blue-grey | penguin | 0.55 | a little penguin
animals/birds/duck | bird | green-headed | duck | 0.5 | a mallard; a drake with a green head
animals/birds/drake | bird | brown | duck | 0.5 | a brown duck
animals/birds/gander | bird | grey and white | goose | 0.85 | a gander; a goose
animals/birds/turkey | bird | black | turkey | 0.9 | a turkey with a fanned tail
animals/birds/peacock | bird | blue and green | peacock | 1.9 | a peacock with a long tail
animals/birds/guineafowl | bird | grey | guinea fowl | 0.5 | a guinea fowl
animals/birds/ostrich | bird | white | ostrich | 2.1 | an ostrich
animals/birds/nandou | bird | brown | rhea | 1.5 | a large flightless bird
animals/birds/pink_flamingo | bird | pink | flamingo | 1.3 | a flamingo on one leg
animals/birds/crowned_crane | bird | grey | crane | 1.1 | a crowned crane
animals/birds/owl | bird | white | owl | 0.6 | a snowy owl
animals/birds/vulture | bird | brown | vulture | 1.0 | a perched vulture
animals/birds/crow | bird | black | crow | 0.46 | a crow
animals/birds/blackbird | bird | black | blackbird | 0.28 | a blackbird with a yellow beak
animals/birds/pigeon | bird | grey | pigeon | 0.34 | a pigeon
animals/birds/lark | bird | brown | lark | 0.25 | a small brown bird
animals/birds/silver-gull | bird | white | gull | 0.42 | a standing gull
animals/birds/seagull | bird | white | seagull | 1.2 | a flying seagull
animals/birds/tucan | bird | black and yellow | toucan | 0.8 | a toucan with a large beak; a flying toucan
animals/birds/cuckoo | bird | brown | cuckoo | 0.6 | a flying cuckoo
animals/birds/rainbow-lorikeet | bird | colourful | parrot | 0.3 | a rainbow lorikeet
animals/fish/bluegroper | fish | blue | fish | 0.9 | a blue groper
animals/fish/butterflyfish | fish | yellow striped | fish | 0.35 | a butterflyfish
animals/fish/clownfish | fish | blue and black | fish | 0.3 | a small striped fish
animals/fish/coraltrout | fish | grey | fish | 0.9 | a coral trout
animals/fish/dolphinfish | fish | turquoise | fish | 0.6 | a turquoise fish with a yellow tail
animals/fish/lionfish | fish | brown striped | lionfish | 0.45 | a poisonous lionfish
animals/fish/stripedfish | fish | teal | fish | 0.4 | a striped teal fish
animals/fish/seahorse | fish | orange | seahorse | 0.3 | a seahorse
animals/mammals/aquatic/dolphin | whale | grey | dolphin | 2.3 | a dolphin; a jumping dolphin
animals/mammals/aquatic/orca | whale | black and white | orca | 5.0 | a killer whale
animals/mammals/aquatic/whale | whale | grey | humpback whale | 8.0 | a large whale
animals/amphibians/frog | frog | green | frog | 0.09 | a green frog with dark spots
animals/amphibians/frog-1 | frog | brown | frog | 0.08 | a brown frog seen from above
animals/insects/hoverfly | insect | yellow and black | hoverfly | 0.045 | a hoverfly
animals/insects/hornet | insect | orange | hornet | 0.055 | a hornet
animals/insects/grasshopper | insect | green | grasshopper | 0.06 | a grasshopper
animals/insects/mantis | insect | yellow | mantis | 0.08 | a praying mantis
animals/insects/xanthia | insect | orange | moth | 0.05 | a moth with open wings
animals/insects/fly | insect | grey | fly | 0.035 | a fly
vehicles/auto/sedan | car | ? | car | 4.6 | a ? sedan
vehicles/auto/sportscar2 | car | ? | sports car | 4.4 | a ? convertible; a ? car
vehicles/race/indycar | car | ? | racing car | 4.9 | a ? race car; a ? car
vehicles/auto/truck | truck | ? | pickup truck | 5.4 | a ? truck; a ? pickup
vehicles/garbagetruck | truck | white | garbage truck | 8.5 | a garbage truck; a white lorry
vehicles/construction/dumper | truck | orange | dumper | 3.6 | a dumper; a construction vehicle
vehicles/flight/planes/747 | airplane | blue and white | airplane | 60 | a jumbo jet; an airliner
vehicles/flight/balloon360 | balloon | colourful | hot-air balloon | 24 | a balloon; a hot-air balloon with a basket
vehicles/ship/chineseJunk | boat | orange | sailing ship | 11 | a Chinese junk; a boat with white sails
vehicles/ship/walnutBoat | boat | brown | sailing boat | 8 | a boat with one large sail
plants/trees/holm_oak | tree | green | tree | 9 | a holm oak; a broad tree
plants/trees/tree336 | tree | green | tree | 7 | a slender tree
plants/trees/liberia-palm | tree | green | palm tree | 8 | a palm; a palm tree
plants/trees/birch | tree | bare | birch | 9 | a bare birch; a tree without leaves
plants/mushrooms/cep-1 | mushroom | brown | mushroom | 0.2 | a cep
plants/mushrooms/cep-2 | mushroom | brown | mushroom | 0.2 | two grown-together mushrooms
plants/mushrooms/cep | mushroom | reddish brown | mushroom | 0.2 | a cep with a red cap
plants/flowers/anemone_red | flower | red | anemone | 0.1 | a red flower with a black centre
plants/flowers/daffodil | flower | yellow | daffodil | 0.1 | a yellow flower
plants/flowers/flower1 | flower | ? | flower | 0.09 | a ? flower
plants/flowers/flower10 | flower | ? | hibiscus | 0.11 | a ? flower; a ? hibiscus flower
plants/flowers/flower2 | flower | ? | flower | 0.08 | a ? flower
plants/flowers/flower3 | flower | ? | flower | 0.09 | a ? flower
plants/flowers/flower5 | flower | ? | flower | 0.08 | a ? flower
plants/flowers/flower8 | flower | ? | flower | 0.08 | a ? flower
plants/flowers/flower9 | flower | ? | flower | 0.08 | a ? flower with dew drops
plants/flowers/iris | flower | ? | iris | 0.12 | a ? flower
plants/flowers/marigold | flower | ? | marigold | 0.08 | a ? flower
plants/flowers/pigface | flower | ? | flower | 0.08 | a ? daisy-like flower
plants/flowers/red-gazania | flower | red | gazania | 0.09 | a red flower with pointed petals
plants/flowers/rose | flower | red | rose | 0.08 | a red flower
plants/flowers/whitestar-petunia | flower | purple and white | petunia | 0.08 | a purple and white flower
plants/flowers/yellow-flower | flower | light yellow | daisy | 0.08 | a light yellow flower
food/fruit/apple_fuji | fruit | red | apple | 0.08 | a dark red apple
food/fruit/apple_granny_smith | fruit | pale green | apple | 0.08 | a green apple
food/fruit/apple_green | fruit | green | apple | 0.08 | a shiny green apple
food/fruit/apple_red | fruit | red | apple | 0.08 | a shiny red apple
food/fruit/apple_sierra_beauty | fruit | red and green | apple | 0.08 | a ripe apple
food/fruit/avocado | fruit | dark green | avocado | 0.12 | an avocado
food/fruit/banana | fruit | yellow | banana | 0.17 | a banana
food/fruit/cherimoya | fruit | green | cherimoya | 0.13 | a green fruit
food/fruit/kiwi | fruit | brown | kiwi | 0.075 | a kiwi fruit
food/fruit/lemon | fruit | yellow | lemon | 0.095 | a ripe lemon
food/fruit/mandarine | fruit | orange | mandarin | 0.075 | a mandarin orange
food/fruit/mango | fruit | red and green | mango | 0.11 | a ripe mango
food/fruit/orange | fruit | orange | orange | 0.085 | an orange
food/fruit/orange_seville | fruit | orange | orange | 0.09 | a bitter orange with a rough skin
food/fruit/pear | fruit | brown | pear | 0.1 | a pear
food/fruit/pomegranate | fruit | dark red | pomegranate | 0.1 | a pomegranate
food/fruit/strawberry | fruit | red | strawberry | 0.055 | a strawberry
food/vegetables/broccoli | vegetable | green | head of broccoli | 0.17 | a bunch of broccoli
food/vegetables/chilepepper | vegetable | red | chilli pepper | 0.12 | a hot chilli
food/vegetables/corn | vegetable | yellow | corn cob | 0.21 | a cob of corn; an ear of corn
food/vegetables/eggplant | vegetable | dark purple | aubergine | 0.17 | an eggplant
food/vegetables/garlic | vegetable | white | garlic bulb | 0.07 | a bulb of garlic
food/vegetables/lettuce | vegetable | green | head of lettuce | 0.2 | a green salad
food/vegetables/mushroom | vegetable | white | button mushroom | 0.07 | a champignon
food/vegetables/onion | vegetable | brown | onion | 0.085 | an onion
food/vegetables/pepper | vegetable | green | pepper | 0.1 | a green bell pepper
food/vegetables/potato | vegetable | brown | potato | 0.085 | a potato
food/vegetables/pumpkin_small | vegetable | orange | pumpkin | 0.12 | a small pumpkin
food/vegetables/redlettuce | vegetable | red | head of lettuce | 0.2 | a head of red lettuce
food/vegetables/tomato | vegetable | red | tomato | 0.075 | a ripe tomato
food/vegetables/yam | vegetable | purple | yam | 0.2 | a sweet potato
food/vegetables/yellowpepper | vegetable | yellow | pepper | 0.1 | a yellow bell pepper
sports/basketball | ball | orange | basketball | 0.24 | a basketball
sports/cricketball | ball | red | cricket ball | 0.1 | a small red ball
sports/football | ball | brown | American football | 0.27 | a brown leather ball
sports/soccer | ball | black and white | football | 0.22 | a soccer ball
sports/tennis_ball | ball | green | tennis ball | 0.1 | a small green ball
household/tools/hammer | tool | wooden | hammer | 0.33 | a hammer with a wooden handle
household/tools/mallet_metal | tool | brown | sledgehammer | 0.36 | a heavy hammer
household/tools/measuring_tape | tool | yellow | measuring tape | 0.24 | a tape measure
household/tools/paintbrush_large | tool | black | paintbrush | 0.22 | a large paintbrush
household/tools/plyers | tool | red | pair of pliers | 0.2 | pliers with red handles
household/tools/saw | tool | wooden | saw | 0.48 | a hand saw
household/tools/toolbox | tool | red | toolbox | 0.42 | a red metal box
household/tools/wrench | tool | silver | wrench | 0.2 | a spanner
household/tools/wrench_adjustable | tool | silver | adjustable wrench | 0.25 | an adjustable spanner
household/tools/wrench_plumbers | tool | rusty | pipe wrench | 0.33 | an old plumber's wrench
"""

# Stamps that may be shown in other hues; the words follow the hue that is measured afterwards.
RECOLOURED = frozenset({"sedan", "sportscar2", "truck", "indycar", "horse"})

PLURALS = {
    "sheep": "sheep",
    "deer": "deer",
    "reindeer": "reindeer",
    "fish": "fish",
    "lionfish": "lionfish",
    "goose": "geese",
    "mouse": "mice",
    "fox": "foxes",
    "ostrich": "ostriches",
    "guinea fowl": "guinea fowl",
    "head of broccoli": "heads of broccoli",
    "head of lettuce": "heads of lettuce",
    "daisy": "daisies",
    "fly": "flies",
    "hoverfly": "hoverflies",
    "strawberry": "strawberries",
    "dromedary": "dromedaries",
    "mango": "mangoes",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "paintbrush": "paintbrushes",
    "toolbox": "toolboxes",
    "birch": "birches",
    "pair of pliers": "pairs of pliers",
    "wrench": "wrenches",
    "adjustable wrench": "adjustable wrenches",
    "pipe wrench": "pipe wrenches",
    "hibiscus": "hibiscus flowers",
    "mantis": "mantises",
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """One cut-out.  ``metres`` is the length of its longest visible side in the world."""

    path: str
    label: str
    adjective: str
    noun: str
    metres: float
    phrases: tuple[str, ...]

    @property
    def name(self) -> str:
        """File name without folder and ending; unique in the table."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def file(self) -> Path:
        """The picture inside the installed Debian package."""
        return STAMP_FOLDER / f"{self.path}.png"


def read_table() -> dict[str, Stamp]:
    """All stamps of the demo by their short name, in the order of the table."""
    stamps: dict[str, Stamp] = {}
    for line in TABLE.strip().splitlines():
        path, label, adjective, noun, metres, phrases = (cell.strip() for cell in line.split("|"))
        stamp = Stamp(path, label, adjective, noun, float(metres), tuple(p.strip() for p in phrases.split(";")))
        assert stamp.name not in stamps, stamp.name
        stamps[stamp.name] = stamp
    return stamps


def class_names() -> list[str]:
    """The vocabulary of classes, in the order of the table; the COCO category id is the position plus one."""
    return list(dict.fromkeys(stamp.label for stamp in read_table().values()))
