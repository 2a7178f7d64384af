"""Where a player's picture is read: a virtual screen, or a pipe of raw pictures."""

import mmap
import os
import struct
import threading
import time

import numpy

import picture
from programs import Program


class Screen:
    """An X server without a monitor, just as large as the picture, whose frame buffer is a file."""

    def __init__(self, folder):
        reader, writer = os.pipe()
        size = f"{picture.WIDTH}x{picture.HEIGHT}x24"
        command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", size, "-fbdir", folder]
        command += ["-nolisten", "tcp", "-ac", "-noreset", "-nocursor"]
        self._program = Program("xvfb", command, folder, pass_fds=[writer])
        os.close(writer)
        try:
            with open(reader) as number:  # ends when Xvfb has written it, or has ended
                self.display = ":" + number.readline().strip()
            if self.display == ":":
                raise RuntimeError(f"Xvfb does not start:\n{self._program.log()}")
            self._pixels = self._map(os.path.join(folder, "Xvfb_screen0"))
        except BaseException:
            self._program.stop()
            raise

    @staticmethod
    def _map(path):
        """The frame buffer as an array; the file is an X window dump (XWDFile.h)."""
        with open(path, "r+b") as file:
            buffer = mmap.mmap(file.fileno(), 0)
        header = struct.unpack(">25I", buffer[:100])
        header_size, width, height = header[0], header[4], header[5]
        bits_per_pixel, line_size, colours = header[11], header[12], header[19]
        if bits_per_pixel != 32:
            raise RuntimeError(f"Xvfb has {bits_per_pixel} bits per pixel, not 32")
        pixels = numpy.frombuffer(buffer, numpy.uint8, line_size * height, header_size + 12 * colours)
        return pixels.reshape(height, line_size // 4, 4)[:, :width]

    def pixels(self):
        return self._pixels

    def clear(self):
        """Wipes off the last player's picture: X itself leaves it there when the window is gone."""
        time.sleep(0.2)  # what the player had still in the pipe is drawn by then
        self._pixels[:] = 0

    def is_blank(self):
        return not self._pixels[:, :, :3].any()

    def close(self):
        self._program.stop(grace_s=2.0)  # so that it takes away its lock file


class Pipe:
    """The latest picture that a program has written to its standard output (bgr24)."""

    def __init__(self, stream):
        self._pixels = numpy.zeros((picture.HEIGHT, picture.WIDTH, 3), numpy.uint8)
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        size = picture.WIDTH * picture.HEIGHT * 3
        while len(frame := stream.read(size)) == size:
            self._pixels = numpy.frombuffer(frame, numpy.uint8).reshape(picture.HEIGHT, picture.WIDTH, 3)

    def pixels(self):
        return self._pixels
