"""The picture: a wall clock that a program can read back, in a frame where every part is checked.

The picture is a raster of 80 x 45 units of 8 x 8 pixels; each unit has one grey level, so reading one
point per unit reads it all. Given the clock, every unit is known. Four areas:

* clock: 32 bits of wall-clock milliseconds and a 16-bit check sum, in black and white cells;
* texture: never changes, so a player has it only if it has decoded a key frame;
* history: 16 cells, each of which flips at its own moment every 4 s: a player that got the key frame
  but missed frames after it shows a cell that is still wrong;
* noise: new in every frame, so that the stream has some bits in it.

Knows nothing of players, streams or screens.
"""

import binascii

import numpy

UNIT = 8  # pixels
COLUMNS, ROWS = 80, 45  # units
WIDTH, HEIGHT = COLUMNS * UNIT, ROWS * UNIT  # pixels

CELL = 4  # units: the side of one clock or history cell
CLOCK_TOP, CLOCK_LEFT, CLOCK_CELLS = 8, 16, (4, 12)  # units, units, cells
HISTORY_TOP, HISTORY_LEFT, HISTORY_CELLS = 28, 8, 16
HISTORY_PERIOD_MS, HISTORY_STEP_MS = 4000, 250
NOISE_TOP = 37

CLOCK_BITS = 32
CHECK_BITS = 16
TOLERANCE = 40  # grey levels that coding may change a unit's middle by; black to white is 255
GRAIN_MAX = 12  # grey levels; more of it, together with coding, would go beyond the tolerance


def _texture():
    random = numpy.random.default_rng(1)
    coarse = random.integers(24, 232, (ROWS // 2 + 1, COLUMNS // 2))
    return coarse.repeat(2, axis=0).repeat(2, axis=1)[:ROWS, :COLUMNS].astype(numpy.int16)


TEXTURE = _texture()
_CLOCK = (
    slice(CLOCK_TOP, CLOCK_TOP + CLOCK_CELLS[0] * CELL),
    slice(CLOCK_LEFT, CLOCK_LEFT + CLOCK_CELLS[1] * CELL),
)
_HISTORY = (
    slice(HISTORY_TOP, HISTORY_TOP + CELL),
    slice(HISTORY_LEFT, HISTORY_LEFT + HISTORY_CELLS * CELL),
)
_IS_TEXTURE = numpy.ones((ROWS, COLUMNS), bool)
_IS_TEXTURE[_CLOCK] = _IS_TEXTURE[_HISTORY] = False
_IS_TEXTURE[NOISE_TOP:] = False


def _clock_bits(clock_ms):
    word = clock_ms % (1 << CLOCK_BITS)
    check = binascii.crc_hqx(word.to_bytes(CLOCK_BITS // 8, "big"), 0)
    whole = word << CHECK_BITS | check
    count = CLOCK_BITS + CHECK_BITS
    return numpy.array([whole >> (count - 1 - i) & 1 for i in range(count)])


def _cells(bits, shape):
    return (bits.reshape(shape) * 255).repeat(CELL, axis=0).repeat(CELL, axis=1)


def raster(clock_ms):
    """The grey level (0 to 255) of each unit of the picture drawn at `clock_ms`."""
    units = TEXTURE.copy()
    units[_CLOCK] = _cells(_clock_bits(clock_ms), CLOCK_CELLS)
    phases = clock_ms - numpy.arange(HISTORY_CELLS) * HISTORY_STEP_MS
    units[_HISTORY] = _cells(phases // HISTORY_PERIOD_MS & 1, (1, HISTORY_CELLS))
    random = numpy.random.default_rng(clock_ms % (1 << CLOCK_BITS))
    units[NOISE_TOP:] = random.integers(0, 256, (ROWS - NOISE_TOP, COLUMNS))
    return units


def grain(levels):
    """Some layers of fine noise of up to so many grey levels: work for coder, network and decoder."""
    random = numpy.random.default_rng(2)
    return random.integers(-levels, levels + 1, (7, HEIGHT, WIDTH), numpy.int16)


def yuv420(clock_ms, noise):
    """The picture drawn at `clock_ms` as one raw yuv420p frame (limited range, no colour)."""
    luma = (16 + raster(clock_ms) * (219 / 255)).astype(numpy.int16)
    luma = luma.repeat(UNIT, axis=0).repeat(UNIT, axis=1) + noise
    return luma.clip(16, 235).astype(numpy.uint8).tobytes() + b"\x80" * (WIDTH * HEIGHT // 2)


def points(pixels):
    """The middle of each unit of a picture of HEIGHT x WIDTH x 3 or more channels."""
    return pixels[UNIT // 2 :: UNIT, UNIT // 2 :: UNIT, :3].astype(numpy.int16)


def read_clock(units, now_ms):
    """The wall clock in milliseconds that the points of a picture show, or None."""
    middles = units[_CLOCK][CELL // 2 :: CELL, CELL // 2 :: CELL].mean(axis=2).ravel()
    bits = (middles > 127).astype(int)
    if numpy.abs(middles - bits * 255).max() > 2 * TOLERANCE:
        return None
    word = int("".join(map(str, bits[:CLOCK_BITS])), 2)
    # The shown 32 bits are those of some moment up to 49 days before now.
    clock_ms = now_ms - (now_ms - word) % (1 << CLOCK_BITS)
    return clock_ms if (bits == _clock_bits(clock_ms)).all() else None


def is_clean(units, clock_ms):
    """Whether the whole picture is the one drawn at `clock_ms`."""
    return bool(numpy.abs(units - raster(clock_ms)[:, :, None]).max() <= TOLERANCE)


def has_texture(units):
    """Whether the part that never changes is right: a torn or late picture still has it."""
    return bool((numpy.abs(units - TEXTURE[:, :, None]).max(axis=2) <= TOLERANCE)[_IS_TEXTURE].all())
