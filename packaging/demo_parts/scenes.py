"""The kinds of scenes: which place, how many, who may be there, and how things stand in it."""

from dataclasses import dataclass

from demo_parts import places, surfaces
from demo_parts.places import Place


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of scene.

    Attributes:
        count: How many scenes are composed.
        layout: "stand" on the ground, "swim" at any depth (or fly), "flat" seen from above, "float" on water.
        eye: Height of the eye in metres (stand, float), or pixels per metre (swim, flat).
        main: Short names of the stamps that may be the subject.
        back: Stamps that may stand far behind, at most two.
        sky: Stamps that may fly above, at most two.
        gamma: Below 1, large and small things come closer in size than in the world.
        few, many: Least and largest number of subjects.
    """

    name: str
    place: Place
    count: int
    layout: str
    eye: float
    main: str
    back: str = ""
    sky: str = ""
    gamma: float = 0.8
    few: int = 2
    many: int = 5


TREES = "holm_oak tree336"
FLOWERS = (
    "anemone_red daffodil flower1 flower10 flower2 flower3 flower5 flower8 flower9 iris marigold pigface "
    "red-gazania rose whitestar-petunia yellow-flower"
)
FRUIT = (
    "apple_fuji apple_granny_smith apple_green apple_red apple_sierra_beauty avocado banana cherimoya "
    "kiwi lemon mandarine mango orange orange_seville pear pomegranate strawberry"
)
VEGETABLES = (
    "broccoli chilepepper corn eggplant garlic lettuce mushroom onion pepper potato pumpkin_small "
    "redlettuce tomato yam yellowpepper"
)
UPRIGHT_FOOD = (
    "apple_fuji apple_granny_smith apple_green apple_red apple_sierra_beauty cherimoya kiwi lemon "
    "mandarine mango orange orange_seville pear pomegranate broccoli garlic lettuce onion pepper "
    "pumpkin_small redlettuce tomato yellowpepper potato"
)
FARM = "cow cow_white bull zebu ram sheep sheep_lamb goat pig pig_golden pig_golden2 horse horse hen rooster dog"

# name, place, count, layout, eye, subjects, behind, above, gamma, fewest, most
# fmt: off
KINDS = [
    Kind("meadow", places.meadow, 18, "stand", 1.9, FARM, TREES, "", 0.72, 3, 6),
    Kind("garden", places.garden, 10, "stand", 0.75,
         "dog dingo rabbit_little rabbit-2 squirrel hen rooster chicken_profile gander peacock turkey pigeon "
         "blackbird guineafowl basketball soccer tennis_ball football cricketball",
         "", "", 0.75, 3, 6),
    Kind("savanna", places.savanna, 13, "stand", 3.3,
         "elephant elephant elephant giraffe giraffe zebra zebra zebra zebra lion-2 lion lion ostrich nandou "
         "crowned_crane",
         TREES, "", 0.85, 3, 6),
    Kind("dune", places.dune_grass, 4, "stand", 1.5,
         "horse horse horse fox dog dingo goat doe",
         "", "seagull", 0.7, 2, 4),
    Kind("desert", places.desert, 6, "stand", 2.2,
         "camel dromedary camel dromedary vulture goat",
         "liberia-palm", "balloon360", 0.8, 2, 5),
    Kind("forest", places.forest, 13, "stand", 1.2,
         "bear european-bear deer doe wapiti fox fox fox fox fox fox owl squirrel marmot beaver rabbit cep "
         "cep-1 cep-2 tiger blackbird",
         "", "cuckoo tucan", 0.75, 3, 6),
    Kind("ice", places.snow, 5, "stand", 1.0,
         "penguin magellanic_penguin little-penguin penguin",
         "", "seagull", 0.8, 3, 6),
    Kind("winter", places.snow, 7, "stand", 1.3,
         "dog caribou owl fox fox rabbit european-bear wapiti crow horse",
         "birch", "", 0.62, 3, 5),
    Kind("beach", places.beach, 7, "stand", 1.25,
         "silver-gull pink_flamingo pigeon dog dog dingo basketball soccer tennis_ball football crow",
         "liberia-palm", "seagull", 0.65, 3, 6),
    Kind("sea", places.sea, 8, "float", 4.0,
         "chineseJunk walnutBoat chineseJunk walnutBoat chineseJunk walnutBoat dolphin orca whale dolphin",
         "", "seagull balloon360", 0.5, 2, 4),
    Kind("pond", places.pond, 6, "float", 0.8,
         "duck drake gander duck pink_flamingo crowned_crane",
         "", "", 0.8, 3, 5),
    Kind("reef", places.underwater, 9, "swim", 260,
         "bluegroper butterflyfish clownfish coraltrout dolphinfish lionfish stripedfish seahorse bluegroper "
         "butterflyfish",
         "", "", 0.5, 4, 7),
    Kind("deep", places.underwater, 4, "swim", 260, "dolphin whale orca dolphin", "", "", 0.4, 2, 4),
    Kind("road", places.road, 13, "stand", 3.6,
         "sedan sedan sportscar2 sportscar2 truck truck indycar garbagetruck dumper",
         "", "", 1.0, 2, 4),
    Kind("storm", places.storm_road, 3, "stand", 4.6, "sedan sportscar2 truck garbagetruck", "", "", 1.0, 1, 2),
    Kind("hall", surfaces.showroom, 5, "stand", 3.0, "sedan sportscar2 truck indycar dumper", "", "", 1.0, 2, 4),
    Kind("sky", places.high_sky, 6, "swim", 8,
         "balloon360 balloon360 balloon360 747 747 747 seagull cuckoo",
         "", "", 0.2, 3, 5),
    Kind("table", surfaces.table, 10, "stand", 0.3, UPRIGHT_FOOD, "", "", 0.8, 4, 7),
    Kind("food", surfaces.boards, 6, "flat", 1450, f"{FRUIT} {VEGETABLES}", "", "", 0.75, 5, 7),
    Kind("market", surfaces.stone, 4, "flat", 1450, f"{FRUIT} {VEGETABLES}", "", "", 0.75, 5, 7),
    Kind("bench", surfaces.boards, 7, "flat", 880,
         "hammer mallet_metal measuring_tape paintbrush_large plyers saw toolbox wrench wrench_adjustable "
         "wrench_plumbers",
         "", "", 0.7, 5, 7),
    Kind("flowers", surfaces.leaves, 5, "flat", 2200, FLOWERS, "", "", 0.8, 4, 7),
    Kind("petals", surfaces.boards, 3, "flat", 2200, FLOWERS, "", "", 0.8, 4, 7),
    Kind("insects", surfaces.leaves, 8, "flat", 3600,
         "hoverfly hornet grasshopper mantis xanthia fly frog frog frog-1 frog-1",
         "", "", 0.6, 3, 5),
]
# fmt: on

SIZES = [(864, 576), (720, 720), (640, 800), (960, 540), (832, 624), (768, 576), (900, 600)]
LANDSCAPE = [(864, 576), (960, 540), (800, 600), (900, 560)]
SMALL = [(640, 480), (576, 576), (672, 448), (512, 640)]

# How much of a thing's height lies below the line of the water.
DRAUGHT = {
    "chineseJunk": 0.05,
    "walnutBoat": 0.05,
    "dolphin": 0.24,
    "orca": 0.42,
    "whale": 0.42,
    "duck": 0.24,
    "drake": 0.17,
    "gander": 0.17,
    "pink_flamingo": 0.14,
    "crowned_crane": 0.14,
}
