"""The publisher: draws pictures by the wall clock and has ffmpeg encode and publish them.

    publisher.py URL FPS KEY_FRAMES_EVERY_N TRACK BFRAMES GRAIN

TRACK is av or video, BFRAMES a count, GRAIN the grey levels of noise (0: none).

Writes one line per key frame on standard output, the wall clock in seconds at which it was drawn. Frame
n has the timestamp n / FPS, and the coder is told to make every Nth a key frame and no other.
"""

import os
import subprocess
import sys
import time

import numpy

import picture

SAMPLE_RATE = 44100


def encoder_command(url, fps, key_every, sound_descriptor, bframes):
    """The ffmpeg that takes raw video on its standard input, and raw sound where there is any."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-loglevel", "warning"]
    command += ["-probesize", "32", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command += ["-s", f"{picture.WIDTH}x{picture.HEIGHT}", "-framerate", str(fps), "-i", "pipe:0"]
    if sound_descriptor is not None:
        command += ["-probesize", "32", "-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
        command += ["-i", f"pipe:{sound_descriptor}", "-c:a", "aac", "-b:a", "96k"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    command += ["-g", str(key_every), "-keyint_min", str(key_every), "-sc_threshold", "0"]
    # After zerolatency: B-frames cost their reordering and nothing more.
    command += ["-bf", str(bframes), "-x264-params", "b-adapt=0:open-gop=0"]
    return command + ["-f", "flv", "-flvflags", "no_duration_filesize", "-tcp_nodelay", "1", url]


class Sound:
    """A steady tone, cut to the pictures' times."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._sent = 0  # samples

    def write_until(self, media_time_s):
        until = int(media_time_s * SAMPLE_RATE)
        wave = 3000 * numpy.sin(numpy.arange(self._sent, until) * (2 * numpy.pi * 440 / SAMPLE_RATE))
        os.write(self._descriptor, wave.astype("<i2").tobytes())
        self._sent = until


def main():
    url, fps, key_every, track, bframes, grain = sys.argv[1:]
    fps, key_every = int(fps), int(key_every)
    sound, encoder_end = None, None
    if track == "av":
        encoder_end, our_end = os.pipe()
        sound = Sound(our_end)
    command = encoder_command(url, fps, key_every, encoder_end, bframes)
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[encoder_end] if sound else [])
    if sound:
        os.close(encoder_end)
    noise = picture.grain(int(grain))
    began = time.time()
    frame = 0
    while True:
        time.sleep(max(0.0, began + frame / fps - time.time()))
        if sound:
            sound.write_until(frame / fps)  # no sooner: it has only just been heard
        now = time.time()
        encoder.stdin.write(picture.yuv420(int(now * 1000), noise[frame % len(noise)]))
        encoder.stdin.flush()
        if frame % key_every == 0:
            print(now, flush=True)
        frame += 1


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit("publisher: ffmpeg or the measuring program is gone")
