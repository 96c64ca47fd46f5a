"""Names of ARKit's 52 weights, and the orders that files have them in."""


def _both(*names: str) -> tuple[str, ...]:
    """Left and right of each, one after the other."""
    return tuple(f"{name}{side}" for name in names for side in ("Left", "Right"))


EYE = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
ARKIT = (
    *(f"{name}Left" for name in EYE), *(f"{name}Right" for name in EYE),
    "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", *_both("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch"), "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", *_both("mouthPress", "mouthLowerDown", "mouthUpperUp"),
    *_both("browDown"), "browInnerUp", *_both("browOuterUp"), "cheekPuff", *_both("cheekSquint", "noseSneer"),
    "tongueOut",
)  # fmt: skip
"""In Apple's order, which Live Link's packets have too."""
GAZE = tuple(name for name in ARKIT if name.startswith("eyeLook"))
"""What follows from the joints of the eyes alone."""
TONGUE = "tongueOut"
"""What SMPL-X has nothing of."""
ALPHABETICAL = tuple(sorted(ARKIT))
"""The order of BEAT's json files and of PantoMatrix' matrix, which lack the last one, :data:`TONGUE`."""
ORDERS = {"apple": ARKIT, "alphabetical": ALPHABETICAL}
PAIRS = tuple(
    (f"{name}Left", f"{name}Right")
    for name in ("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch", "mouthPress", "mouthLowerDown",
                 "mouthUpperUp")
)  # fmt: skip
"""Left and right of the mouth, which mostly move together."""
INDEX = {name: index for index, name in enumerate(ARKIT)}


def pascal(name: str) -> str:
    """A name as Live Link and VMC write it: ``jawOpen`` as ``JawOpen``."""
    return name[0].upper() + name[1:]
