"""Light on samples of the surface: albedo by material, a wrapped key light with its shadow, fill and ambient light.

All of it is inlined into `shade`. Numba keeps its compiled form on disk until this very file changes, so the parts stay
together here; after a change to `value_noise` the kept form has to be deleted.
"""

from __future__ import annotations

import math

import numba as nb

from signgen.synthetic.body.mesh import CLOTH, EYE, HAIR, SKIN, TEETH
from signgen.synthetic.body.noise import value_noise

STRIPES, PINSTRIPES, CHECKS, DOTS, KNIT, FLECKS = range(1, 7)  # kinds of `Paint.pattern`; 0 is plain cloth
SHADOW_BIAS = 0.018  # metres by which a point must lie behind the shadow map to be dark


@nb.njit(fastmath=True, cache=True, inline="always")
def _clamp(x):
    return min(1.0, max(0.0, x))


@nb.njit(fastmath=True, cache=True, inline="always")
def _lit(depth, shadow, x, y, z):
    """Share 0..1 of a soft 3 x 3 neighbourhood of the shadow map in which a point is lit."""
    (right, down, away), size = shadow.axes, depth.shape[0]
    u = (x * right[0] + y * right[1] + z * right[2] - shadow.origin[0]) * shadow.scale - 0.5
    v = (x * down[0] + y * down[1] + z * down[2] - shadow.origin[1]) * shadow.scale - 0.5
    far = x * away[0] + y * away[1] + z * away[2] - SHADOW_BIAS
    middle, row = int(math.floor(u + 0.5)), int(math.floor(v + 0.5))
    if middle < 1 or row < 1 or middle + 1 >= size or row + 1 >= size:
        return 1.0
    fu, fv = u - middle, v - row
    total = 0.0
    for k in range(-1, 2):
        taps = 0.0
        taps += 0.5 - fu if depth[row + k, middle - 1] > far else 0.0
        taps += 1.0 if depth[row + k, middle] > far else 0.0
        taps += 0.5 + fu if depth[row + k, middle + 1] > far else 0.0
        total += taps * (1.0 if k == 0 else 0.5 + k * fv)
    return 0.25 * total


@nb.njit(fastmath=True, cache=True, inline="always")
def _brow_share(paint, x, z):
    """How much of a brow covers canonical (x, z): a soft capsule along the brow's line, uneven like hair."""
    line, x = paint.brow_line, abs(x)
    nearest = 1.0
    for k in range(4):
        ex, ez = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
        t = _clamp(((x - line[k, 0]) * ex + (z - line[k, 1]) * ez) / (ex * ex + ez * ez))
        away = math.sqrt((x - line[k, 0] - t * ex) ** 2 + (z - line[k, 1] - t * ez) ** 2)
        nearest = min(nearest, away - line[k, 2] - t * (line[k + 1, 2] - line[k, 2]))
    return min(0.92, _clamp(0.5 - nearest / 0.0022) * (0.55 + 0.5 * value_noise(x * 900, z * 500, 3.0)))


@nb.njit(fastmath=True, cache=True, inline="always")
def _line(x, z, x0, z0, x1, z1, width):
    """1 on a line between two canonical points, 0 from `width` metres away."""
    ex, ez = x1 - x0, z1 - z0
    t = _clamp(((x - x0) * ex + (z - z0) * ez) / (ex * ex + ez * ez))
    away = math.sqrt((x - x0 - t * ex) ** 2 + (z - z0 - t * ez) ** 2)
    soft = _clamp(1 - away / width)
    return soft * soft * (3 - 2 * soft)


@nb.njit(fastmath=True, cache=True, inline="always")
def _face_tone(paint, x, y, z):
    """Factor of skin's brightness in the face: blotches, and lines beside the nose, under the eyes, on the forehead."""
    side, lines = abs(x), 0.0
    if 0.909 < z < 0.961:
        lines = _line(side, z, 0.019, 0.953, 0.034, 0.917, 0.0055)
    elif 0.966 < z < 0.985:
        lines = 0.7 * _line(side, z, 0.018, 0.977, 0.043, 0.974, 0.005)
    elif 0.889 < z < 0.902:
        lines = 0.5 * _line(side, z, 0.0, 0.8955, 0.012, 0.8955, 0.006)
    elif 1.027 < z < 1.060 and side < 0.032:
        away = (z - 1.031) / 0.011
        lines = 0.25 * _clamp(1 - abs(away - math.floor(away + 0.5)) * 3.6) * _clamp((0.032 - side) / 0.006)
    blotches = value_noise(x * 230, y * 230, z * 230 + paint.seed)
    return (1 + 0.11 * (blotches - 0.5)) * (1 - 0.38 * paint.wrinkles * lines)


@nb.njit(fastmath=True, cache=True, inline="always")
def _eye_colour(paint, x, y, z):
    """Albedo of an eyeball at a canonical point: sclera, iris, pupil."""
    eye = paint.eyes[0] if x > 0 else paint.eyes[1]
    dx, dz = x - eye[0], z - eye[2]
    away = math.sqrt(dx * dx + dz * dz) if y < eye[1] + 0.012 else 1.0
    white = 0.50 - 8.0 * max(0.0, dz) - 6.0 * max(0.0, abs(dx) - 0.006)
    iris, black = _clamp((0.0064 - away) / 0.0012), 1 - 0.93 * _clamp((0.0030 - away) / 0.001)
    r = (white + (paint.iris[0] - white) * iris) * black
    g = (white * 0.95 + (paint.iris[1] - white * 0.95) * iris) * black
    b = (white * 0.92 + (paint.iris[2] - white * 0.92) * iris) * black
    return r, g, b


@nb.njit(fastmath=True, cache=True, inline="always")
def _strand_tone(paint, x, y, z):
    """Brightness of hair: streaks along the azimuth around the head."""
    around = math.atan2(x, y + 0.05)
    coarse = value_noise(around * 26 + 3 * z, z * 9, paint.seed + 1)
    return 0.6 * coarse + 0.4 * value_noise(around * 70 + 6 * z, z * 12, paint.seed + 2)


@nb.njit(fastmath=True, cache=True, inline="always")
def _material(kind, n, colour, beard, place, paint):
    """Unit normal n, albedo, wrap, gloss and sharpness of one sample at a canonical place."""
    r, g, b = colour
    nx, ny, nz = n
    wrap, gloss, sharp = 0.3, 0.0, 14.0
    if kind == SKIN:
        wrap, gloss = 0.32, 0.07
        if place[1] < -0.05 and place[2] > 0.86 and abs(place[0]) < 0.08:
            tone = _face_tone(paint, place[0], place[1], place[2])
            r, g, b = r * tone, g * tone * (0.5 + 0.5 * tone), b * tone * (0.5 + 0.5 * tone)
            gloss *= min(1.25, max(0.7, 6 * tone - 5))  # uneven like the skin itself
        if beard > 0:
            hairs = value_noise(place[0] * 900, place[1] * 500, place[2] * 600)
            share = _clamp(beard * (0.55 + 0.9 * hairs))
            r += (paint.beard[0] - r) * share
            g += (paint.beard[1] - g) * share
            b += (paint.beard[2] - b) * share
            gloss *= 1 - share
        if place[1] < -0.10 and 0.985 < place[2] < 1.040 and abs(place[0]) < 0.07:
            share = _brow_share(paint, place[0], place[2])
            r += (paint.brows[0] - r) * share
            g += (paint.brows[1] - g) * share
            b += (paint.brows[2] - b) * share
    elif kind == CLOTH:
        wrap = 0.05
    elif kind == HAIR:
        strand = _strand_tone(paint, place[0], place[1], place[2])
        tone = 0.45 + 1.1 * strand
        r, g, b = r * tone, g * tone, b * tone
        wrap, gloss, sharp = 0.2, 0.09 * strand, 8.0
        nx += 0.30 * (strand - 0.5)
    elif kind == EYE:
        r, g, b = _eye_colour(paint, place[0], place[1], place[2])
        wrap, gloss, sharp = 0.3, 0.8, 60.0
    elif kind == TEETH:
        gloss = 0.1
    return nx, ny, nz, r, g, b, wrap, gloss, sharp


@nb.njit(fastmath=True, cache=True, inline="always")
def _shaded(kind, n, colour, beard, place, world, paint, light, depth, shadow, open_sky):
    """Linear colour of one sample: unit normal n, albedo, beard, canonical and world places, occlusion factor."""
    nx, ny, nz, r, g, b, wrap, gloss, sharp = _material(kind, n, colour, beard, place, paint)
    key, fill = light.key, light.fill
    facing = max(0.0, (nx * key[0] + ny * key[1] + nz * key[2] + wrap) / (1 + wrap))
    lit = _lit(depth, shadow, world[0], world[1], world[2]) if facing > 0 else 0.0
    filled = max(0.0, (nx * fill[0] + ny * fill[1] + nz * fill[2] + 0.25) / 1.25)
    sky = light.ambient * (0.65 + 0.5 * (0.5 + 0.5 * nz))
    power = light.key_power * facing * (0.42 + 0.58 * lit) + open_sky * (light.fill_power * filled + sky)
    shine = 0.0
    if gloss > 0:
        hx, hy, hz = key[0], key[1] - 1.0, key[2]
        half = max(0.0, (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz))
        shine = gloss * half**sharp * (0.25 + 0.75 * lit)
    if kind == SKIN:  # light that goes through skin comes out redder
        return (
            r * power + shine,
            g * power * (0.985 - 0.06 * (1 - facing)) + shine,
            b * power * (0.97 - 0.09 * (1 - facing)) + shine,
        )
    if kind == CLOTH:  # fibres catch light at grazing angles
        shine = (0.012 + 0.10 * (r + g + b) / 3) * (1 - max(0.0, -ny)) ** 2 * open_sky
    return r * power + shine, g * power + shine, b * power + shine


@nb.njit(fastmath=True, cache=True, inline="always")
def _wave(t):
    """A soft stripe: 1 in the middle of each whole number's second half, 0 in the middle of its first."""
    t -= math.floor(t)
    return _clamp(0.5 + 6.0 * (0.25 - abs(t - 0.75)))


@nb.njit(fastmath=True, cache=True, inline="always")
def _patterned(paint, colour, x, y, z):
    """Albedo of printed or woven cloth at a canonical place: stripes, checks, dots, a coarse knit, flecks."""
    r, g, b = colour
    side, arm = abs(x), paint.arm
    along = (side - arm[0]) * arm[3] + (y - arm[1]) * arm[4] + (z - arm[2]) * arm[5]  # down a sleeve
    sleeve = _clamp((side - 0.185) / 0.01)
    u, v = x, z
    if sleeve > 0:
        u = (1 - sleeve) * x + sleeve * (0.62 * z + 0.55 * y + 0.5 * side)
        v = (1 - sleeve) * z - sleeve * along
    size, kind, share = 1 / paint.pattern_size, paint.pattern, 0.0
    if kind == STRIPES:
        share = _wave(v * size)
    elif kind == PINSTRIPES:
        share = _clamp(1.6 - abs((u * size) - math.floor(u * size) - 0.5) * 9)
    elif kind == CHECKS:
        share = 0.5 * (_wave(u * size) + _wave(v * size))
    elif kind == DOTS:
        row = math.floor(v * size)
        du, dv = u * size + 0.5 * row, v * size
        du, dv = du - math.floor(du) - 0.5, dv - math.floor(dv) - 0.5
        share = _clamp(3.5 * (0.34 - math.sqrt(du * du + dv * dv)))
    elif kind == KNIT:
        share = 0.7 * _clamp(0.5 + 0.5 * math.sin(u * size * 6.2832)) * (0.6 + 0.4 * math.sin(v * size * 12.0))
    elif kind == FLECKS:
        share = _clamp(3.0 * (value_noise(u * 600, v * 420, y * 600) - 0.45))
    second = paint.pattern_colour
    weave = 1 + 0.14 * (value_noise(u * 700, v * 700, y * 300) - 0.5)
    return (
        (r + (second[0] - r) * share) * weave,
        (g + (second[1] - g) * share) * weave,
        (b + (second[2] - b) * share) * weave,
    )


@nb.njit(fastmath=True, cache=True, inline="always")
def _lit_in(studio, kind, n, colour, beard, place, world, paint, depth, shadow, open_sky):
    """Linear colour of one sample in a studio of coloured lights; arguments as of `_shaded`."""
    nx, ny, nz, r, g, b, wrap, gloss, sharp = _material(kind, n, colour, beard, place, paint)
    key, fill, rim = studio.key, studio.fill, studio.rim
    cosine = nx * key[0] + ny * key[1] + nz * key[2]
    lit = _lit(depth, shadow, world[0], world[1], world[2]) if cosine > -wrap - 0.2 else 0.0
    lit = studio.floor + (1 - studio.floor) * lit
    filled = open_sky * max(0.0, (nx * fill[0] + ny * fill[1] + nz * fill[2] + 0.3) / 1.3)
    edge = max(0.0, nx * rim[0] + ny * rim[1] + nz * rim[2]) * (1 - max(0.0, -ny)) ** 2 * open_sky
    up = open_sky * (0.5 + 0.5 * nz)
    down = open_sky - up
    red, green, blue = wrap, wrap, wrap
    if kind == SKIN:  # light goes through skin, red farthest
        red, green, blue = wrap + 0.14, wrap, wrap - 0.05
    power_r = studio.key_power[0] * max(0.0, (cosine + red) / (1 + red)) * lit
    power_g = studio.key_power[1] * max(0.0, (cosine + green) / (1 + green)) * lit
    power_b = studio.key_power[2] * max(0.0, (cosine + blue) / (1 + blue)) * lit
    power_r += studio.fill_power[0] * filled + studio.sky[0] * up + studio.ground[0] * down + studio.rim_power[0] * edge
    power_g += studio.fill_power[1] * filled + studio.sky[1] * up + studio.ground[1] * down + studio.rim_power[1] * edge
    power_b += studio.fill_power[2] * filled + studio.sky[2] * up + studio.ground[2] * down + studio.rim_power[2] * edge
    shine = 0.0
    if gloss > 0:
        hx, hy, hz = key[0], key[1] - 1.0, key[2]
        half = max(0.0, (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz))
        shine = gloss * half**sharp * lit * studio.key_power[1] * 1.25
        if kind == SKIN:  # a faint sheen where the light grazes
            shine += 0.05 * (1 - max(0.0, -ny)) ** 4 * open_sky
    elif kind == CLOTH:
        shine = (0.010 + 0.09 * (r + g + b) / 3) * (1 - max(0.0, -ny)) ** 2 * open_sky
    return r * power_r + shine, g * power_g + shine, b * power_b + shine


@nb.njit(fastmath=True, cache=True)
def shade(
    image,
    backdrop,
    face,
    weights,
    faces,
    material,
    colour,
    canonical,
    trim,
    vertices,
    normals,
    open_sky,
    paint,
    light,
    shadow,
    studio,
    factor,
    share,
    alpha,
):
    """Put the drawn samples into `image` (H, W, 3), linear, whose pixels have `factor` samples a side in the buffers.

    `image` begins as `backdrop` (H, W, 3); each sample replaces `share` of it and adds that to `alpha` (H, W), where
    1 / share is the number of samples a pixel gets in all. `studio` has the lights from content version 5 on, before
    it is None and `light` has them.
    """
    depth = shadow.depth
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            i = face[y, x]
            if i < 0:
                continue
            a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
            w0, w1 = weights[y, x, 0], weights[y, x, 1]
            w2 = 1 - w0 - w1
            nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
            ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
            nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
            long = 1 / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
            base = (
                w0 * colour[a, 0] + w1 * colour[b, 0] + w2 * colour[c, 0],
                w0 * colour[a, 1] + w1 * colour[b, 1] + w2 * colour[c, 1],
                w0 * colour[a, 2] + w1 * colour[b, 2] + w2 * colour[c, 2],
            )
            trimmed = w0 * trim[a] + w1 * trim[b] + w2 * trim[c]
            second = _clamp(0.5 + trimmed / 0.003) if material[i] == CLOTH else 0.0
            if second > 0:
                base = (
                    base[0] + (paint.second[0] - base[0]) * second,
                    base[1] + (paint.second[1] - base[1]) * second,
                    base[2] + (paint.second[2] - base[2]) * second,
                )
            place = (
                w0 * canonical[a, 0] + w1 * canonical[b, 0] + w2 * canonical[c, 0],
                w0 * canonical[a, 1] + w1 * canonical[b, 1] + w2 * canonical[c, 1],
                w0 * canonical[a, 2] + w1 * canonical[b, 2] + w2 * canonical[c, 2],
            )
            world = (
                w0 * vertices[a, 0] + w1 * vertices[b, 0] + w2 * vertices[c, 0],
                w0 * vertices[a, 1] + w1 * vertices[b, 1] + w2 * vertices[c, 1],
                w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2],
            )
            if studio is None:
                r, g, bl = _shaded(
                    material[i],
                    (nx * long, ny * long, nz * long),
                    base,
                    trimmed,
                    place,
                    world,
                    paint,
                    light,
                    depth,
                    shadow,
                    open_sky[y, x],
                )
            else:
                if material[i] == CLOTH and paint.pattern > 0 and trimmed > -1.5 and second <= 0:
                    base = _patterned(paint, base, place[0], place[1], place[2])
                r, g, bl = _lit_in(
                    studio,
                    material[i],
                    (nx * long, ny * long, nz * long),
                    base,
                    trimmed,
                    place,
                    world,
                    paint,
                    depth,
                    shadow,
                    open_sky[y, x],
                )
            row, column = y // factor, x // factor
            image[row, column, 0] += share * (min(r, 1.2) - backdrop[row, column, 0])
            image[row, column, 1] += share * (min(g, 1.2) - backdrop[row, column, 1])
            image[row, column, 2] += share * (min(bl, 1.2) - backdrop[row, column, 2])
            alpha[row, column] += share
