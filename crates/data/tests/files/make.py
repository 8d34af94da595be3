"""Makes the picture files and arrays of this folder: python make.py (numpy, Pillow)."""
import numpy as np
from PIL import Image

H, W = 13, 18
y, x = np.mgrid[0:H, 0:W]
grey = ((y * 19 + x * 13) % 256).astype(np.uint8)
rgb = np.stack([(y * 12 + x * 3), (x * 13 + 5), (200 - y * 7 - x * 4)], -1).clip(0, 255).astype(np.uint8)
alpha = ((x * 14) % 256).astype(np.uint8)

# PNG: the tests know the formulas above.
Image.fromarray(grey).save("grey8.png")
Image.fromarray(rgb).save("rgb8.png")
Image.fromarray(np.dstack([rgb, alpha])).save("rgba8.png")
Image.fromarray(np.dstack([grey, alpha]), mode="LA").save("grey_alpha8.png")
Image.fromarray(grey.astype(np.uint16) * 256 + 3).save("grey16.png")
Image.fromarray((grey > 127)).save("grey1.png")
palette = Image.fromarray((grey % 4).astype(np.uint8), mode="P")
palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
palette.save("palette.png", transparency=0)

# JPEG: beside each lies what Pillow (libjpeg-turbo) decodes from it, as PNG.
def jpeg(name, image, **options):
    image.save(name + ".jpg", **options)
    decoded = Image.open(name + ".jpg")
    decoded.convert("L" if decoded.mode == "L" else "RGB").save(name + "_decoded.png")

jpeg("baseline", Image.fromarray(rgb), quality=90)
jpeg("progressive", Image.fromarray(rgb), quality=90, progressive=True)
jpeg("full_colour", Image.fromarray(rgb), quality=90, subsampling=0)
jpeg("grey", Image.fromarray((grey // 2 + 60).astype(np.uint8)), quality=90)
jpeg("cmyk", Image.fromarray(rgb).convert("CMYK"), quality=90)

# npz: stored and deflated, all types, both orders.
arrays = dict(u8=np.arange(24, dtype=np.uint8).reshape(2, 3, 4), i64=np.array([-1, 2**40]), i32=np.array([[7], [-8]], np.int32),
              f32=np.array([0.5, -1.25], np.float32), f64=np.array(3.5), flag=np.array([True, False]),
              fortran=np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), big=np.array([1], ">i4"))
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)
np.save("u8.npy", arrays["u8"])
