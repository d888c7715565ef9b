//! Pictures read, written, put together; folders of them as data.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::fs;
use std::path::{Path, PathBuf};

use gradus::Error;
use gradus::data::images::{self, ColorMode, ImageFolder};
use gradus::formats::safetensors::TensorFile;
use gradus::prelude::*;
use ndarray::{Array, Array2, Array3, Array4, Ix3, array, s};
use proptest::prelude::*;

use crate::refuses::refuses;

/// A folder of its own for a test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gradus-images-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Writes a PNG of any kind, with the encoder itself.
fn write(path: &Path, size: [u32; 2], color: png::ColorType, depth: png::BitDepth, data: &[u8], palette: &[u8]) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), size[1], size[0]);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if !palette.is_empty() {
        encoder.set_palette(palette);
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
}

#[test]
fn every_kind_of_png_becomes_bytes() {
    use png::{BitDepth, ColorType};
    let scratch = Scratch::new("kinds");
    let path = scratch.path("a.png");
    let read = |mode| images::read(&path, mode).unwrap();

    write(&path, [1, 2], ColorType::Rgba, BitDepth::Eight, &[255, 0, 0, 9, 10, 20, 30, 0], &[]);
    assert_eq!(read(ColorMode::Rgb), array![[[255u8, 0, 0], [10, 20, 30]]]);
    // 0.299 · 255 = 76.2; 0.299 · 10 + 0.587 · 20 + 0.114 · 30 = 18.15
    assert_eq!(read(ColorMode::Grayscale), array![[[76u8], [18]]]);

    write(&path, [1, 2], ColorType::GrayscaleAlpha, BitDepth::Eight, &[7, 0, 200, 255], &[]);
    assert_eq!(read(ColorMode::Grayscale), array![[[7u8], [200]]]);
    assert_eq!(read(ColorMode::Rgb), array![[[7u8, 7, 7], [200, 200, 200]]]);

    write(&path, [1, 2], ColorType::Grayscale, BitDepth::Sixteen, &[0x12, 0xff, 0xfe, 0x00], &[]);
    assert_eq!(read(ColorMode::Grayscale), array![[[0x12u8], [0xfe]]]);

    write(&path, [2, 4], ColorType::Grayscale, BitDepth::One, &[0b1010_0000, 0b0001_0000], &[]);
    assert_eq!(read(ColorMode::Grayscale).slice(s![.., .., 0]), array![[255u8, 0, 255, 0], [0, 0, 0, 255]]);

    write(&path, [1, 3], ColorType::Indexed, BitDepth::Two, &[0b0100_1000], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(read(ColorMode::Rgb), array![[[4u8, 5, 6], [1, 2, 3], [7, 8, 9]]]);
}

#[test]
fn jpeg_is_read_as_tensorflow_reads_it() {
    let known = TensorFile::read("tests/data/images.safetensors").unwrap();
    for file in ["picture.jpg", "progressive.jpg", "grey.jpg"] {
        for (mode, name) in [(ColorMode::Rgb, "rgb"), (ColorMode::Grayscale, "grey")] {
            let image = images::read(format!("tests/data/{file}"), mode).unwrap();
            let expected = known.get::<u8>(&format!("{file}/{name}")).unwrap();
            assert_eq!(image.shape(), expected.shape());
            let differences = image.iter().zip(expected).map(|(&a, &b)| a.abs_diff(b));
            let (worst, sum) = differences.fold((0, 0), |(worst, sum), d| (worst.max(d), sum + u32::from(d)));
            // Decoders round their cosines, and spread halved colours, each in their own way.
            assert!(worst <= 4, "{file} {name}: {worst}");
            assert!(f64::from(sum) / image.len() as f64 <= 0.5, "{file} {name}: {sum} in {}", image.len());
        }
    }
}

#[test] // Pillow; see tests/data/python_jpegs.py
fn kinds_of_jpeg_that_are_rarer_are_read_as_others_read_them() {
    let known = TensorFile::read("tests/data/jpegs.safetensors").unwrap();
    let read = |name: &str, mode| images::read(format!("tests/data/jpeg/{name}"), mode);
    let mut count = 0;
    for entry in fs::read_dir("tests/data/jpeg").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for (mode, kind) in [(ColorMode::Rgb, "rgb"), (ColorMode::Grayscale, "grey")] {
            if name == "arithmetic.jpg" {
                refuses(read(&name, mode), &["arithmetic.jpg: damaged JPEG, or of an unknown kind", "Arithmetic"]);
                continue;
            }
            let image = read(&name, mode).unwrap();
            let expected = known.get::<u8>(&format!("{name}/{kind}")).unwrap();
            assert_eq!(image.shape(), expected.shape());
            let differences = image.iter().zip(expected).map(|(&a, &b)| f64::from(a.abs_diff(b)));
            let mean = differences.sum::<f64>() / image.len() as f64;
            assert!(mean < 1.5, "{name} {kind}: {mean}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
    // The same coefficients in other scans, and with harmless bytes between the segments.
    for sampling in ["2x2", "2x1", "1x2", "4x1", "1x1-2x2-1x1", "2x2-2x1-1x2", "1x1-2x1-1x1"] {
        let together = read(&format!("{sampling}-together.jpg"), ColorMode::Rgb).unwrap();
        assert_eq!(read(&format!("{sampling}-apart.jpg"), ColorMode::Rgb).unwrap(), together, "{sampling}");
    }
    let together = read("2x2-together.jpg", ColorMode::Rgb).unwrap();
    for name in ["2x2-chroma-first", "2x2-luma-then-both", "2x2-both-then-luma", "2x2-progressive", "2x2-restarts"] {
        assert_eq!(read(&format!("{name}.jpg"), ColorMode::Rgb).unwrap(), together, "{name}");
    }
    for name in ["app14-short", "app14-empty", "fill-bytes", "bytes-between"] {
        assert_eq!(read(&format!("{name}.jpg"), ColorMode::Rgb).unwrap(), together, "{name}");
    }
    assert_eq!(
        read("420-three-scans-16x16.jpg", ColorMode::Rgb).unwrap(),
        read("420-interleaved-16x16.jpg", ColorMode::Rgb).unwrap()
    );
}

#[test]
fn of_a_damaged_animation_the_first_picture_is_read() {
    let scratch = Scratch::new("animation");
    let path = scratch.path("a.png");
    let frames: Vec<Array2<u8>> =
        (0..3).map(|n| Array2::from_shape_fn((5, 4), |(i, j)| (n * 60 + i * 9 + j) as u8)).collect();
    images::write_animation(&path, &frames, 100).unwrap();
    let read = || images::read(&path, ColorMode::Grayscale).map(|image| image.index_axis_move(ndarray::Axis(2), 0));
    assert_eq!(read().unwrap(), frames[0]);
    let whole = fs::read(&path).unwrap();
    let places =
        |name: &[u8]| -> Vec<usize> { (0..whole.len() - 4).filter(|&at| &whole[at..at + 4] == name).collect() };
    // Sequence numbers out of order, first of the first picture and then of a later one; a wrong sum; a file cut short.
    for at in [places(b"fcTL")[0] + 7, places(b"fcTL")[2] + 7, places(b"fdAT")[0] + 7, places(b"fdAT")[1] + 12] {
        let mut damaged = whole.clone();
        damaged[at] ^= 5;
        fs::write(&path, damaged).unwrap();
        assert_eq!(read().unwrap(), frames[0], "byte {at}");
    }
    for length in [places(b"fdAT")[0] + 20, places(b"fdAT")[1] - 2, whole.len() - 3] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(read().unwrap(), frames[0], "{length} bytes");
    }
    // Cut within the first picture.
    fs::write(&path, &whole[..places(b"IDAT")[0] + 12]).unwrap();
    refuses(read(), &["a.png: damaged PNG"]);
}

#[test]
fn what_a_system_leaves_in_folders_is_no_image() {
    let scratch = Scratch::new("hidden");
    for folder in ["cat", "cat/.thumbnails", "cat/__MACOSX", "dog", "__MACOSX", "__MACOSX/cat", ".git", "@eaDir"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    for name in ["cat/1.png", "dog/1.png", "cat/.thumbnails/1.png"] {
        images::write_png(scratch.path(name), &array![[7u8]]).unwrap();
    }
    for name in [
        "cat/._1.png",
        "cat/.DS_Store",
        "cat/Thumbs.db",
        "cat/__MACOSX/._1.png",
        "__MACOSX/cat/._1.png",
        "._dog",
        "@eaDir/1.png",
    ] {
        fs::write(scratch.path(name), b"\0\x05\x16\x07\0\x02\0\0Mac OS X").unwrap();
    }
    let files = ImageFolder::new(&scratch.0).image_size([1, 1]).open().unwrap();
    assert_eq!(files.class_names(), ["cat", "dog"]);
    assert_eq!(files.paths(), [scratch.path("cat/1.png"), scratch.path("dog/1.png")]);
    assert_eq!((files.labels().to_vec(), files.load().unwrap().len()), (vec![0, 1], 6));
}

#[test]
fn a_header_asks_for_no_more_than_the_bytes_can_hold() {
    let scratch = Scratch::new("bombs");
    let mut jpeg = fs::read("tests/data/picture.jpg").unwrap();
    let frame = (0..jpeg.len()).find(|&at| jpeg[at] == 0xff && (0xc0..0xc3).contains(&jpeg[at + 1])).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0xff, 0x1f, 0xff]);
    fs::write(scratch.path("a.jpg"), jpeg).unwrap();
    refuses(images::read(scratch.path("a.jpg"), ColorMode::Rgb), &["too few for 8191×8191 pixels"]);
    write(&scratch.path("a.png"), [1, 1], png::ColorType::Grayscale, png::BitDepth::Eight, &[0], &[]);
    let mut png = fs::read(scratch.path("a.png")).unwrap();
    for place in [16, 20] {
        png[place..place + 4].copy_from_slice(&8191u32.to_be_bytes());
    }
    let sum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    fs::write(scratch.path("a.png"), png).unwrap();
    refuses(images::read(scratch.path("a.png"), ColorMode::Rgb), &["too few for 8191×8191 pixels"]);
}

#[test]
fn another_size_is_keras_s() {
    let known = TensorFile::read("tests/data/images.safetensors").unwrap();
    let picture = known.get::<u8>("picture").unwrap().to_owned().into_dimensionality::<Ix3>().unwrap();
    for size in [[40, 90], [10, 50], [5, 7], [1, 1]] {
        let expected = known.get::<f32>(&format!("resized/{}x{}", size[0], size[1])).unwrap();
        let resized = images::resize(&picture, size).unwrap();
        assert_eq!(resized.shape(), expected.shape());
        for (&byte, level) in resized.iter().zip(expected) {
            assert!((f32::from(byte) - level).abs() < 0.5 + 1e-4, "{byte} is not {level}, rounded");
        }
    }
}

#[test]
fn what_is_no_image_is_refused_with_its_path() {
    let scratch = Scratch::new("refused");
    let read = |name: &str| images::read(scratch.path(name), ColorMode::Rgb);
    refuses(read("none.png"), &["none.png", "No such file"]);
    fs::write(scratch.path("text.png"), "GIF89a").unwrap();
    refuses(read("text.png"), &["text.png: neither a PNG nor a JPEG file"]);
    fs::write(scratch.path("empty.jpg"), "").unwrap();
    refuses(read("empty.jpg"), &["empty.jpg: neither"]);

    let good = scratch.path("good.png");
    images::write_png(&good, &Array::from_shape_fn((40, 30), |(i, j)| (i * j % 256) as u8)).unwrap();
    let bytes = fs::read(&good).unwrap();
    for length in [8, 20, 33, bytes.len() / 2, bytes.len() - 20] {
        fs::write(scratch.path("cut.png"), &bytes[..length]).unwrap();
        refuses(read("cut.png"), &["cut.png: damaged PNG"]);
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 0x10;
    fs::write(scratch.path("flipped.png"), flipped).unwrap();
    refuses(read("flipped.png"), &["flipped.png: damaged PNG"]);

    let jpeg = fs::read("tests/data/picture.jpg").unwrap();
    for length in [3, 100, jpeg.len() / 2, jpeg.len() - 60] {
        fs::write(scratch.path("cut.jpg"), &jpeg[..length]).unwrap();
        refuses(read("cut.jpg"), &["cut.jpg: damaged JPEG"]);
    }

    // A header that asks for 40,000 × 40,000 pixels.
    write(&scratch.path("huge.png"), [1, 1], png::ColorType::Grayscale, png::BitDepth::Eight, &[0], &[]);
    let mut huge = fs::read(scratch.path("huge.png")).unwrap();
    for place in [16, 20] {
        huge[place..place + 4].copy_from_slice(&40_000u32.to_be_bytes());
    }
    let sum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    fs::write(scratch.path("huge.png"), huge).unwrap();
    refuses(read("huge.png"), &["huge.png: 40000×40000 pixels are more than 67108864"]);
}

/// The sum of PNG's chunks, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn what_cannot_be_written_is_refused_and_the_old_file_stays() {
    let scratch = Scratch::new("written");
    let path = scratch.path("a.png");
    images::write_png(&path, &array![[0.25f64]]).unwrap();
    let before = fs::read(&path).unwrap();
    let two = "expected an image (height, width), (height, width, 1) or (height, width, 3), received";
    refuses(images::write_png(&path, &Array3::<u8>::zeros((4, 4, 2))), &["a.png", two, "(4, 4, 2)"]);
    refuses(images::write_png(&path, &Array2::<f32>::zeros((4, 0))), &["a.png", two, "(4, 0)"]);
    refuses(images::write_png(&path, &array![1u8]), &["a.png", two, "(1)"]);
    for (wrong, said) in [(1.01f32, "1.01"), (-0.5, "-0.5"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        refuses(
            images::write_png(&path, &array![[0.0, wrong]]),
            &["a.png", "pixels in 0..=1", &format!("received {said} at (0, 1)"), "stretch or clamp"],
        );
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left beside it");
    refuses(images::write_png(scratch.path("no/folder.png"), &array![[1u8]]), &["folder.png", "No such file"]);
    images::write_png(&path, &array![[1.0f32 + 1e-6, -1e-6]]).unwrap();
}

#[test]
fn grids_have_gaps_and_shorter_last_rows() {
    let three = Array4::from_shape_fn((3, 2, 2, 3), |(n, ..)| n as u8);
    let grid = images::grid(&three, 2, 1).unwrap();
    assert_eq!(
        grid.slice(s![.., .., 0]),
        array![[0u8, 0, 255, 1, 1], [0, 0, 255, 1, 1], [255; 5], [2, 2, 255, 255, 255], [2, 2, 255, 255, 255]]
    );
    assert_eq!(images::grid(&three, 9, 1).unwrap().dim(), (2, 8, 3));
    let transposed = three.slice(s![.., .., .., 0]).permuted_axes([0, 2, 1]);
    assert_eq!(images::grid(&transposed, 3, 0).unwrap().dim(), (2, 6, 1));
    refuses(images::grid(&three, 0, 1), &["`columns` must be at least 1"]);
    refuses(images::grid(&array![[1u8]], 1, 1), &["images (n, height, width)", "(1, 1)"]);
    refuses(images::grid(&Array3::<u8>::zeros((0, 2, 2)), 1, 1), &["images (n, height, width)", "(0, 2, 2)"]);
    refuses(images::enlarge(&grid, 0), &["`times` must be at least 1"]);
    refuses(images::resize(&grid, [0, 4]), &["`size`", "(0, 4)"]);
    refuses(images::resize(&grid, [usize::MAX, 2]), &["`size`", "the memory is there for"]);
    refuses(images::resize(&Array3::zeros((0, 4, 1)), [2, 2]), &["an image with pixels", "(0, 4, 1)"]);
}

#[test]
fn rectangles_end_at_the_border() {
    let mut image = Array3::<u8>::zeros([4, 5, 1]);
    images::draw_rectangle(&mut image, [1, 2], [9, usize::MAX], &[7]).unwrap();
    let drawn = array![[0u8, 0, 0, 0, 0], [0, 0, 7, 7, 7], [0, 0, 7, 0, 0], [0, 0, 7, 0, 0]];
    assert_eq!(image.slice(s![.., .., 0]), drawn);
    images::draw_rectangle(&mut image, [9, 9], [1, 1], &[8]).unwrap();
    images::draw_rectangle(&mut image, [0, 0], [0, 3], &[8]).unwrap();
    assert_eq!(image.slice(s![.., .., 0]), drawn);
    refuses(images::draw_rectangle(&mut image, [0, 0], [2, 2], &[1, 2, 3]), &["a color of 1 values", "(3)"]);
    refuses(images::grayscale_to_rgb(&Array3::zeros((2, 2, 2))), &["(height, width, 1)", "(2, 2, 2)"]);
    refuses(images::stretch(&array![1.0f32, f32::NAN]), &["stretch: expected finite numbers, received NaN"]);
    refuses(images::stretch(&Array2::<f64>::zeros((0, 3))), &["stretch", "none"]);
    assert_eq!(images::stretch(&array![3.0, 3.0]).unwrap(), array![0.5, 0.5]);
}

/// b/2.png … in a folder: 6×4, each of one level.
fn pets(scratch: &Scratch) {
    for (name, level) in [("b/2.png", 20u8), ("b/10.PNG", 10), ("a/x/z.png", 40), ("a/y.png", 30), (".c/1.png", 50)] {
        let path = scratch.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        images::write_png(path, &Array::from_elem((6, 4), level)).unwrap();
    }
    fs::write(scratch.path("b/notes.txt"), "not an image").unwrap();
    fs::create_dir_all(scratch.path("empty")).unwrap();
}

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let scratch = Scratch::new("folders");
    pets(&scratch);
    let folder = || ImageFolder::new(&scratch.0).color_mode(ColorMode::Grayscale).image_size(None);
    let files = folder().open().unwrap();
    assert_eq!(files.class_names(), ["a", "b", "empty"]);
    assert_eq!(files.labels().to_vec(), [0, 0, 1, 1]);
    let x = files.load().unwrap();
    assert_eq!(x.dim(), (4, 6, 4, 1));
    assert_eq!(x.slice(s![.., 0, 0, 0]).to_vec(), [30, 40, 10, 20]);
    assert!(files.paths()[1].ends_with("a/x/z.png"));

    let named = folder().class_names(["empty", "b", "a"]).open().unwrap();
    assert_eq!(named.labels().to_vec(), [1, 1, 2, 2]);
    let two = named.select(&[3, 0]).unwrap();
    assert_eq!((two.labels().to_vec(), two.load().unwrap()[[1, 5, 3, 0]]), (vec![2, 1], 10));
    refuses(named.select(&[0, 4]), &["select: expected rows in 0..4, received 4"]);

    let by_default = ImageFolder::new(&scratch.0).open().unwrap().select(&[0]).unwrap();
    assert_eq!(by_default.load().unwrap(), Array4::from_elem((1, 256, 256, 3), 30));

    refuses(folder().class_names(["a", "b"]).open(), &["expected the class folders a, b, it has a, b, empty"]);
    refuses(folder().image_size([0, 3]).open(), &["`image_size`", "(0, 3)"]);
    refuses(ImageFolder::new(scratch.path("none")).open(), &["none", "No such file"]);
    refuses(ImageFolder::new(scratch.path("b")).open(), &["b: expected a folder for each class", "found none"]);

    images::write_png(scratch.path("b/3.png"), &Array::from_elem((6, 5), 1u8)).unwrap();
    refuses(folder().open().unwrap().load(), &["b/3.png: expected 6×4 pixels", "it has 6×5", "image_size"]);
    fs::write(scratch.path("b/3.png"), "damaged").unwrap();
    refuses(folder().open().unwrap().load(), &["b/3.png: neither"]);
}

#[test]
fn a_model_trains_on_files_as_on_the_same_images_in_memory() -> gradus::Result<()> {
    let scratch = Scratch::new("trained");
    pets(&scratch);
    let files = ImageFolder::new(&scratch.0).image_size([3, 5]).open()?;
    let model = || {
        Sequential::new()
            .input([3, 5, 3])
            .add(Rescaling::new(1.0 / 255.0))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Softmax))
            .compile(SparseCategoricalCrossentropy::new(), SGD::new())
            .build()
    };
    let options = || Fit::new().batch_size(2).epochs(3).verbose(0);
    let (mut of_files, mut of_arrays) = (model()?, model()?);
    of_files.fit_data(&files, options())?;
    of_arrays.fit(&files.load()?, files.labels(), options())?;
    assert_eq!(of_files.get_weights(), of_arrays.get_weights());
    assert_ne!(of_files.get_weights(), model()?.get_weights());
    // What goes wrong while training stops it.
    fs::remove_file(&files.paths()[2]).ok();
    let stopped = model()?.fit_data(&files, options());
    assert!(matches!(&stopped, Err(Error::Io { path, .. }) if path.ends_with("b/10.PNG")), "{stopped:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn what_is_written_is_read(height in 1..9usize, width in 1..9usize, color: bool, seed in 0..1000usize) {
        let scratch = Scratch::new("property");
        let (path, channels) = (scratch.path("a.png"), if color { 3 } else { 1 });
        let image = Array::from_shape_fn((height, width, channels), |(i, j, c)| ((i * 31 + j * 17 + c * 5) * seed % 256) as u8);
        let mode = if color { ColorMode::Rgb } else { ColorMode::Grayscale };
        images::write_png(&path, &image).unwrap();
        prop_assert_eq!(&images::read(&path, mode).unwrap(), &image);
        // As numbers, and from an array that is not contiguous.
        images::write_png(&path, &image.mapv(|byte| f32::from(byte) / 255.0)).unwrap();
        prop_assert_eq!(&images::read(&path, mode).unwrap(), &image);
        images::write_png(&path, &image.slice(s![..;-1, .., ..])).unwrap();
        prop_assert_eq!(images::read(&path, mode).unwrap(), image.slice(s![..;-1, .., ..]));
        prop_assert_eq!(images::resize(&image, [height, width]).unwrap(), image);
    }
}

#[test]
fn turns_and_mirrors_undo_themselves_for_any_element() {
    let image = Array4::from_shape_fn((2, 3, 4, 2), |(n, i, j, c)| (n * 100 + i * 10 + j * 2 + c) as u8);
    let quarter = images::rot90(&image, 1).unwrap();
    assert_eq!(quarter.dim(), (2, 4, 3, 2));
    assert_eq!(images::rot90(&quarter, 3).unwrap(), image);
    assert_eq!(images::rot90(&quarter, 1).unwrap(), images::rot180(&image).unwrap());
    let mirrored = images::flip_up_down(&images::flip_left_right(&image).unwrap()).unwrap();
    assert_eq!(mirrored, images::rot180(&image).unwrap());
    assert!(mirrored.is_standard_layout());
    let padded = images::pad(&image, [[1, 2], [3, 0]], 7).unwrap();
    assert_eq!(images::crop(&padded, [1, 3], [3, 4]).unwrap(), image);
    refuses(images::crop(&image, [1, 0], [3, 4]), &["`size`", "(3, 4)", "(1, 0)"]);
    refuses(images::crop(&image, [usize::MAX, 0], [3, 4]), &["`size`"]);
    refuses(images::flip_left_right(&array![[1, 2]]), &["flip_left_right", "(1, 2)"]);
    refuses(images::pad(&image, [[usize::MAX, 1], [0, 0]], 0), &["pad", "memory"]);
    refuses(images::Resize::new([0, 2]).apply(&Array3::<f32>::zeros((2, 2, 1))), &["`size`"]);
    refuses(images::Resize::new([2, 2]).apply(&Array3::<f32>::zeros((0, 2, 1))), &["resize", "pixels"]);
    refuses(images::rgb_to_grayscale(&Array3::<f32>::zeros((2, 2, 4))), &["rgb_to_grayscale", "(2, 2, 4)"]);
}

/// Images of one step, of bytes that are all `level`.
fn seen(changes: gradus::data::Augmentation, level: u8, step: u64) -> Array4<f64> {
    let bytes = Array3::from_elem((6, 8, 8), level);
    let labels = Array1::<u8>::zeros(6);
    gradus::data::AugmentedImages::new(&bytes, &labels, changes).unwrap().images(&[0, 1, 2, 3, 4, 5], step).unwrap()
}

#[test]
fn colours_change_as_they_are_told() {
    use gradus::data::Augmentation;
    let plain = seen(Augmentation::new(), 51, 3);
    assert!(plain.iter().all(|value| (value - 0.2).abs() < 1e-12));
    let brighter = seen(Augmentation::new().brightness(0.1), 51, 3);
    let levels: Vec<f64> = brighter.outer_iter().map(|image| image[[0, 0, 0]]).collect();
    assert!(levels.iter().all(|level| (level - 0.2).abs() <= 0.1 && (level - 0.2).abs() > 1e-6), "{levels:?}");
    assert!(brighter.outer_iter().all(|image| image.iter().all(|value| *value == image[[0, 0, 0]])));
    // A flat image has no contrast to change.
    let flat = seen(Augmentation::new().contrast(0.9), 51, 3);
    assert!(flat.iter().all(|value| (value - 0.2).abs() < 1e-12));
    let noisy = seen(Augmentation::new().noise(0.05), 51, 3);
    let deviation = noisy.std(0.0);
    assert!((noisy.mean().unwrap() - 0.2).abs() < 0.01 && (0.04..0.06).contains(&deviation), "{deviation}");
    assert_eq!(noisy, seen(Augmentation::new().noise(0.05), 51, 3));
    assert_ne!(noisy, seen(Augmentation::new().noise(0.05), 51, 4));
    let cut = seen(Augmentation::new().cutout(3), 51, 3);
    for image in cut.outer_iter() {
        let gone = image.iter().filter(|value| **value == 0.0).count();
        assert!(
            (4..=9).contains(&gone) && image.iter().all(|value| *value == 0.0 || (value - 0.2).abs() < 1e-12),
            "{gone}"
        );
    }
}

#[test]
fn slants_keep_the_middle_and_upside_down_turns_the_lines_around() {
    use gradus::data::{Augmentation, AugmentedImages};
    // An upright line in the middle column.
    let mut images = Array4::<f64>::zeros((40, 5, 5, 1));
    images.slice_mut(s![.., .., 2, 0]).fill(1.0);
    let labels = Array1::<u8>::zeros(40);
    let rows: Vec<usize> = (0..40).collect();
    let slanted = AugmentedImages::new(&images, &labels, Augmentation::new().shear(30.0)).unwrap();
    let slanted = slanted.images(&rows, 1).unwrap();
    assert!(slanted.slice(s![.., 2, 2, 0]).iter().all(|value| (value - 1.0).abs() < 1e-12));
    let moved = slanted.slice(s![.., 0, 2, 0]).iter().filter(|value| **value < 0.9).count();
    assert!(moved > 20, "{moved} of 40 lines are slanted");
    images.fill(0.0);
    images.slice_mut(s![.., 0, 1, 0]).fill(1.0);
    let upside_down = AugmentedImages::new(&images, &labels, Augmentation::new().flip_vertically(true)).unwrap();
    let seen = upside_down.images(&rows, 1).unwrap();
    let turned = seen.outer_iter().filter(|image| image[[4, 1, 0]] == 1.0).count();
    let straight = seen.outer_iter().filter(|image| image[[0, 1, 0]] == 1.0).count();
    assert!(turned + straight == 40 && turned > 8 && straight > 8, "{turned} turned");
    let refused = |changes| refuses(AugmentedImages::<f64>::new(&images, &labels, changes).map(drop), &["must be"]);
    refused(Augmentation::new().shear(90.0));
    refused(Augmentation::new().contrast(1.5));
    refused(Augmentation::new().noise(f64::NAN));
    refused(Augmentation::new().brightness(-0.1));
    refuses(upside_down.images(&[40], 0), &["rows below 40", "received 40"]);
}

#[test]
fn masks_are_moved_and_cut_along_with_their_images() {
    use gradus::data::{Augmentation, AugmentedImages};
    // All pixels differ; a mask tells each by its number, and a model may see bytes.
    let images = Array3::from_shape_fn((30, 4, 5), |(n, i, j)| (20 * (n % 10) + 5 * i + j) as u8 + 1);
    let masks = images.mapv(usize::from);
    let rows: Vec<usize> = (0..30).collect();
    let pixels = |changes: Augmentation, step: u64| {
        let both = AugmentedImages::<f64>::new(&images, &masks, changes).unwrap().masks(true).unwrap();
        let (images, masks) = (both.images(&rows, step).unwrap(), both.targets(&rows, step).unwrap());
        assert_eq!(images.shape()[..3], *masks.shape());
        (images.index_axis_move(Axis(3), 0).mapv(|value| (value * 255.0).round()).into_dyn(), masks)
    };
    // Where pixels fall upon pixels both are the same.
    let (seen, masks) = pixels(Augmentation::new().flip(true).flip_vertically(true).crop([2, 3]), 5);
    assert_eq!(seen, masks);
    assert_eq!(seen.shape(), [30, 2, 3]);
    let corners: std::collections::BTreeSet<u64> = seen.outer_iter().map(|image| image[[0, 0]] as u64 % 20).collect();
    assert!(corners.len() > 8, "parts from everywhere: {corners:?}");
    assert_ne!(pixels(Augmentation::new().crop([2, 3]), 6).1, pixels(Augmentation::new().crop([2, 3]), 7).1);
    // Where they fall between, a mask has no values of its own.
    let (_, turned) = pixels(Augmentation::new().rotation(30.0).noise(0.1).cutout(2), 5);
    assert!(turned.iter().all(|value| value.fract() == 0.0) && turned.iter().any(|value| *value == 0.0));

    let wrong = Array3::<u8>::zeros((30, 5, 4));
    let labels = Array1::<u8>::zeros(30);
    let new = |changes| AugmentedImages::<f64>::new(&images, &labels, changes);
    refuses(new(Augmentation::new()).unwrap().masks(true).map(drop), &["masks (n, height, width)", "(30)"]);
    let plain = AugmentedImages::<f64>::new(&images, &wrong, Augmentation::new()).unwrap();
    refuses(plain.masks(true).map(drop), &["masks (n, 4, 5)", "(30, 5, 4)"]);
    refuses(new(Augmentation::new().crop([5, 5])).map(drop), &["`crop`", "4, 5", "[5, 5]"]);
    refuses(new(Augmentation::new().crop([0, 5])).map(drop), &["`crop`"]);
}
