"""The players: the command a user would type, and how to find the complaints in its log.

What is added to the plain command keeps other things out of the figures: no sound card is needed, the
window shows the bare picture unscaled, and each log line carries its level.
"""

import re
import shutil
from dataclasses import dataclass, field

_FFMPEG_LEVELS = (r"\[(?:error|fatal|panic)\]", r"\[warning\]")
_MPV_LEVELS = (r"^\[[ .\d]+\]\[[ef]\]", r"^\[[ .\d]+\]\[w\]")
_VLC_LEVELS = (r"^\[[0-9a-f]+\] .*? error: ", r"^\[[0-9a-f]+\] .*? warning: ")
_GST_LEVELS = (r"^ERROR|\bERROR\b +\S", r"^WARNING|\bWARN\b +\S")


@dataclass(frozen=True)
class Player:
    name: str
    packages: str  # Debian packages that bring it
    command: tuple  # the address comes last unless "URL" stands in it
    levels: tuple  # regular expressions: an error line, a warning line
    ours: str = "$^"  # regular expression: lines that come from how this program runs the player
    env: dict = field(default_factory=dict)
    to_pipe: bool = False  # writes raw bgr24 pictures to standard output, has no window
    not_as_root: bool = False

    def is_installed(self):
        return shutil.which(self.command[0]) is not None

    def command_line(self, url):
        return [url if word == "URL" else word.replace("URL", url) for word in self.command]

    def complaints(self, log):
        """The error lines and the warning lines of a log."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", log)]
        lines = [line for line in lines if not re.search(self.ours, line)]
        return tuple([line for line in lines if re.search(level, line)] for level in self.levels)


_FFPLAY = dict(
    packages="ffmpeg",
    levels=_FFMPEG_LEVELS,
    env={"SDL_AUDIODRIVER": "dummy"},
)
# Without a graphics card, mpv's default output and VLC's would draw with OpenGL on the processor.
_MPV = dict(packages="mpv", levels=_MPV_LEVELS, ours=r"legacy VO")
_VLC_OUTPUTS = ("--vout=xcb_x11", "--aout=adummy")
_MPV_OPTIONS = ("--vo=x11", "--ao=null", "--no-terminal", "--log-file=/dev/stdout")

PLAYERS = [
    Player(
        name="ffplay-nobuffer",
        command=("ffplay", "-loglevel", "repeat+level+info", "-fflags", "nobuffer", "URL"),
        **_FFPLAY,
    ),
    Player(
        name="ffplay",
        command=("ffplay", "-loglevel", "repeat+level+info", "URL"),
        **_FFPLAY,
    ),
    Player(name="mpv", command=("mpv", *_MPV_OPTIONS, "URL"), **_MPV),
    Player(name="mpv-low-latency", command=("mpv", "--profile=low-latency", *_MPV_OPTIONS, "URL"), **_MPV),
    Player(
        name="vlc",
        packages="vlc-bin vlc-plugin-base vlc-plugin-video-output",
        command=("cvlc", "-v", "--no-dbus", "--no-video-title-show", *_VLC_OUTPUTS, "URL"),
        levels=_VLC_LEVELS,
        ours=r"dbus|SW chroma filter|VoutDisplayEvent",
        not_as_root=True,
    ),
    Player(
        name="gst",
        packages="gstreamer1.0-tools gstreamer1.0-x gstreamer1.0-libav"
        " gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad",
        command=(
            "gst-launch-1.0",
            "playbin",
            "uri=URL",
            "video-sink=ximagesink",
            "audio-sink=fakesink sync=true",
        ),
        levels=_GST_LEVELS,
        env={"GST_DEBUG": "2", "GST_DEBUG_NO_COLOR": "1"},
    ),
    Player(
        name="ffmpeg",
        packages="ffmpeg",
        command=(
            *("ffmpeg", "-nostdin", "-loglevel", "repeat+level+info", "-i", "URL"),
            *("-f", "rawvideo", "-pix_fmt", "bgr24", "pipe:1"),
        ),
        levels=_FFMPEG_LEVELS,
        to_pipe=True,
    ),
]
BY_NAME = {player.name: player for player in PLAYERS}
