"""Words to print: common English words, and rules that make more of them."""

from __future__ import annotations

import functools
import random

from nano_lab.rendering.held_out import HELD_OUT_WORDS
from nano_lab.rendering.sample import Split


def _split(text: str) -> list[str]:
    return text.split()


_SMALL = _split(
    """the of and to in a is that for it as was with be by on not he his but at are this
have from or had an they which one you were all her she there would their we him been has when
who will no more if out so up what its about than into them can only other time new some could
these two may first then do any like my now over such our man me even most made after also did
many must off before must through back years where much your way well down should because each
just those people too how little state good very make world still own see men work long here get
both between life being under never same another know while last might us great old year come
since against go came right used take three"""
)

_COMMON = _split(
    """able account across action active add address age agree air allow almost alone along
already amount animal answer apply area argue arm arrive art article ask attack author average
avoid away baby balance ball band bank base basic beach bear beat beauty bed begin behind believe
benefit best better beyond bill bird black block blood blue board boat body book border bottom
box boy branch bread break bridge brief bring broad brother brown budget build burn business busy
button buy cabin call camera camp campaign capital car card care carry case cast catch cause
cell center central century certain chair chance change chapter charge cheap check child choice
choose church circle citizen city claim class clean clear climb clock close cloth cloud coach
coast coffee cold collect college color column common company compare complete computer concern
condition connect consider contact contain content continue control cook corner correct cost
cotton count country couple course court cover create crime cross crowd culture current custom
cut daily damage dance danger dark data date daughter day dead deal death debate decade decide
deep degree deliver demand depend describe desert design desk detail develop device die differ
dinner direct discover discuss disease distance doctor document dollar door double doubt draw
dream dress drink drive drop dry during dust duty eager early earn earth east easy eat economy
edge editor educate effect effort egg eight either electric element else empty end enemy energy
engine enjoy enough enter entire equal escape evening event ever every exact example except
exchange exist expect explain express extend extra eye face fact factor fail fair fall false
family famous far farm fast father favor fear feature feel feet fence field fight figure file
fill film final find finger finish fire firm fish fit five fix flag flat floor flow flower fly
focus follow food foot force foreign forest forget form forward four frame free fresh friend
front fruit fuel full fund future game garden gas gather general gentle gift girl give glad
glass goal gold govern grade grand grass gray green ground group grow growth guard guess guest
guide habit hair half hall hand handle hang happen happy hard harm head health hear heart heat
heavy height help herself high hill history hit hold hole home honest hope horse hospital hot
hotel hour house huge human hundred hunt hurry hurt ice idea image imagine impact import improve
inch include income increase indeed index indoor industry inform inside instead interest invite
iron island issue item job join journal journey judge jump jury justice keen keep key kick kid
kill kind king kitchen knee knife knock label labor lack lake land language large late laugh law
lawyer lay lead leaf learn least leather leave left leg legal lesson letter level library lie
lift light limit line link list listen literature live load local lock lose lost lot loud love
low lucky lunch machine magazine main maintain major manage manner map mark market marry master
match matter maybe meal mean measure meat medical meet member memory mental mention message metal
method middle mile military milk million mind minute mirror miss model modern moment money month
moon moral morning mother motion motor mountain mouth move movie music myself name narrow nation
nature near nearly neck need neighbor nerve network news next nice night nine nobody noise none
north nose note nothing notice number object observe obtain obvious occur ocean offer office
officer often oil once open operate opinion option orange order organ origin outside oven owner
pack page pain paint pair paper parent park part partner party pass past path patient pattern pay
peace pen perform perhaps period person phone photo phrase piano pick picture piece pipe place
plan plane plant plastic plate play player please plenty pocket poem point police policy pool poor
popular position possible post pound power practice prepare present press pretty prevent price
print prison private prize probably problem process produce product profit program project promise
protect proud prove provide public pull purpose push quality quarter queen question quick quiet
quite race radio rain raise range rapid rate rather reach read ready real reason receive recent
record red reduce refer region relate release remain remember remove repair repeat reply report
request require research rest result return reveal rice rich ride ring rise risk river road rock
role roll roof room root rope rough round route row royal rule run rural safe sail salt sample
sand save scale scene school science score screen sea search season seat second secret section
seed seek seem sell send sense separate serious serve service set settle seven several shade shake
shape share sharp sheet shelf shell ship shirt shock shoe shop shore short shot shoulder shout
show shut sick side sight sign signal silver similar simple sing single sister site six size skill
skin sky sleep slow small smart smile smoke smooth snow social society soft soil soldier solid
solve son song soon sort sound source south space speak special speech speed spend spirit sport
spot spread spring square staff stage stand standard star start station stay steel step stick
stock stone stop store storm story straight strange stream street strength stress strike string
strong structure student study stuff style subject success sudden sugar suggest suit summer sun
supply support sure surface surprise sweet swim switch system table tail talk tall task taste tax
teach team tell ten tend term test text thank theory thick thin thing think third thousand thread
threat throw ticket tie tight title today together tone tonight tool top topic total touch tough
tour toward town track trade train travel treat tree trial trip trouble truck true trust truth try
tube turn type uncle union unique unit until upon usual valley value variety vast version victim
view village visit voice volume vote wait walk wall want war warm wash waste watch water wave weak
wealth weapon wear weather week weight welcome west wheel white whole why wide wife wild win wind
window winter wire wise wish within without woman wonder wood word worry worth write wrong yard
yellow yes yesterday yet young zero zone"""
)

_RARE = _split(
    """apricot axle badge basil beacon birch bishop bolt bucket buffalo bulb cactus candle
canvas carbon carpet cedar cello chalk cinnamon clover cobalt comet coral cricket crystal dagger
dolphin dragon ember fabric falcon feather ferry fiddle flannel flint fossil frost galaxy garlic
gazelle ginger glacier granite hammer hazel helmet herald hockey honey hybrid igloo indigo ivory
jacket jaguar jasmine jewel jigsaw jockey juice jungle kayak kettle kiosk kiwi ladder lagoon lemon
lizard magnet mango maple mosaic muffin nectar needle nickel oasis olive onyx otter oxygen oyster
paddle panther papaya parsley pebble pigeon pillow plaza pocket poppy prism puzzle quartz quilt
quiver rabbit radar raven robin rocket rubber saffron salmon sapphire satin scarf shovel sketch
sparrow spice sponge squash squid tablet tiger timber toffee topaz tulip turbine turtle unicorn
vacuum vanilla vapor velocity violet vortex waffle walrus whale willow wizard xenon yacht yogurt
zebra zephyr zigzag zinc"""
)

_SUFFIXES = ("s", "ed", "ing", "er", "ly", "ness", "less", "ful", "able", "ment", "ity", "ist")
_PREFIXES = ("re", "un", "pre", "over", "inter", "mis", "non", "sub", "out")
_ONSETS = _split(
    "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr qu"
    " sh sk sl sm sn sp st str sw"
    " th tr tw"
)
_VOWELS = _split("a e i o u a e i o ai au ea ee ie oo ou y")
_CODAS = _split("b ck d f g k l ll m n nd ng nk nt p r rd rk rn rt s ss st t th v x")


@functools.cache
def common_words(split: Split) -> tuple[str, ...]:
    """Words of the split; the test split has its held-out words on top."""
    words = tuple(dict.fromkeys(_COMMON + _RARE))
    if split == "test":
        return words + tuple(sorted(HELD_OUT_WORDS)) * 10
    return tuple(word for word in words if word not in HELD_OUT_WORDS)


def made_up(rng: random.Random) -> str:
    """A pronounceable word that is in no dictionary, so that it must be read."""
    syllables = rng.choice((1, 2, 2, 2, 3, 3, 4))
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)]
    return "".join(parts) + (rng.choice(_CODAS) if rng.random() < 0.6 else "")


def word(rng: random.Random, split: Split) -> str:
    """A lower-case word: mostly common, sometimes inflected or made up."""
    roll = rng.random()
    if roll < 0.3:
        return rng.choice(_SMALL)
    if roll < 0.5:
        return made_up(rng)
    base = rng.choice(common_words(split))
    if roll < 0.62:
        return base + rng.choice(_SUFFIXES)
    if roll < 0.66:
        return rng.choice(_PREFIXES) + base
    return base
