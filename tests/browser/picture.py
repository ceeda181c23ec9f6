"""Pictures as tests look at them: PNG with 8 bits a channel, without interlacing."""

import struct
import zlib


def paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def unfilter(kind, row, above, step):
    for i, byte in enumerate(row):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        guess = (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind]
        row[i] = (byte + guess) & 0xFF
    return row


class Picture:
    def __init__(self, png):
        if png[:8] != b"\x89PNG\r\n\x1a\n":
            raise ValueError("no PNG")
        packed, at = b"", 8
        while at < len(png):
            size, kind = struct.unpack_from("!I4s", png, at)
            data = png[at + 8 : at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack_from("!IIBB", data)
                if depth != 8 or colour not in (2, 6) or data[12]:
                    raise ValueError("an unusual PNG")
                self.step = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                packed += data
            at += 12 + size
        self.rows = self.unpack(zlib.decompress(packed))

    def unpack(self, data):
        rows, above = [], bytearray(self.width * self.step)
        size = 1 + len(above)
        for at in range(0, size * self.height, size):
            above = unfilter(data[at], bytearray(data[at + 1 : at + size]), above, self.step)
            rows.append(above)
        return rows

    def colours(self, left, top, width, height):
        """The colours within a rectangle, cut to the picture."""
        found = set()
        for row in self.rows[max(int(top), 0) : int(top + height)]:
            for x in range(max(int(left), 0), min(int(left + width), self.width)):
                found.add(bytes(row[x * self.step : x * self.step + 3]))
        return found
