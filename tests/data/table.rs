//! Tables from CSV files: types, what is missing, and what is broken.
#![allow(clippy::unwrap_used)]

use gradus::data::{CsvOptions, Table};
use ndarray::array;

fn refused<T>(result: gradus::Result<T>, parts: &[&str]) {
    let text = result.err().expect("refused").to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn columns_are_of_numbers_or_of_texts() {
    let table = Table::parse("a,b,c\n1,x,2.5\n-3e2,\"y, z\",NA\n,?,4\n", true).unwrap();
    assert_eq!((table.names(), table.rows()), (&["a".to_owned(), "b".into(), "c".into()][..], 3));
    let numbers = table.numbers::<f64>("a").unwrap();
    assert_eq!((numbers[0], numbers[1], numbers[2].is_nan()), (1.0, -300.0, true));
    assert!(table.numbers::<f32>("c").unwrap()[1].is_nan());
    assert_eq!(table.texts("b").unwrap(), ["x", "y, z", "?"]);
    let matrix = Table::parse("1,2\n3,4\n", false).unwrap().matrix::<f32, _>(&["1", "0"]).unwrap();
    assert_eq!(matrix, array![[2.0, 1.0], [4.0, 3.0]]);
    let empty = Table::parse("a,b\n", true).unwrap();
    assert_eq!((empty.rows(), empty.numbers::<f32>("a").unwrap().len()), (0, 0));
}

#[test]
fn broken_files_name_the_place() {
    refused(Table::parse("a,b\n1,2\n3\n", true), &["line 3", "expected 2 fields", "received 1"]);
    refused(Table::read("no/such/file.csv", true), &["no/such/file.csv"]);
    let path = std::env::temp_dir().join(format!("gradus-table-{}.csv", std::process::id()));
    std::fs::write(&path, b"a,b\n1,\xff\n").unwrap();
    refused(Table::read(&path, true), &["line 2", "UTF-8"]);
    std::fs::write(&path, "a,b\n1,2\n3,4,5\n").unwrap();
    refused(Table::read(&path, true), &[&path.display().to_string(), "line 3"]);
    std::fs::remove_file(&path).unwrap();
    let table = Table::parse("a,b\n1,x\n2,y\n", true).unwrap();
    refused(table.numbers::<f32>("c"), &["no column `c`", "a", "b"]);
    refused(table.numbers::<f32>("b"), &["column `b`", "\"x\" at row 0"]);
}

fn texts(text: &str, column: &str) -> Vec<String> {
    Table::parse(text, true).unwrap().texts(column).unwrap()
}

#[test]
fn texts_stay_what_they_are() {
    assert_eq!(texts("id\n9007199254740992\n9007199254740993\n", "id"), ["9007199254740992", "9007199254740993"]);
    assert_eq!(texts("zip\n02134\n2134\n10001\n", "zip"), ["02134", "2134", "10001"]);
    assert_eq!(texts("code\n1E5\n100000\n", "code"), ["1E5", "100000"]);
    assert_eq!(texts("a\nNA\nNA\n", "a"), ["NA", "NA"]);
    // Words that Rust takes for numbers.
    let names = Table::parse("name\nNan\nInf\nInfinity\n-infinity\n", true).unwrap();
    assert!(names.numbers::<f32>("name").is_err());
    assert_eq!(Table::parse("a\ninf\n-inf\n", true).unwrap().numbers::<f64>("a").unwrap()[1], f64::NEG_INFINITY);
}

#[test]
fn a_quote_that_is_never_closed_is_an_error() {
    let text = "n,item\n1,\"5 inch disk\n2,cable\n3,fan\n";
    refused(Table::parse(text, true), &["line 2", "never closed"]);
    let path = std::env::temp_dir().join(format!("gradus-quotes-{}.csv", std::process::id()));
    std::fs::write(&path, text).unwrap();
    refused(Table::read(&path, true), &[&path.display().to_string(), "line 2"]);
    let mut rows = gradus::data::Stream::csv(&path, true).pass(0).unwrap();
    assert!(rows.any(|row| row.is_err_and(|error| error.to_string().contains("line 2: a quote"))));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(texts("a,b\n\"x\"\"y\n z\",1\n", "a"), ["x\"y\n z"]);
}

#[test]
fn spaces_before_quotes_are_left_out() {
    let table = Table::parse("city, \"state, country\"\nX, \"CA, US\"\n", true).unwrap();
    assert_eq!(table.names(), ["city", "state, country"]);
    assert_eq!(table.texts("state, country").unwrap(), ["CA, US"]);
    assert_eq!(Table::parse("\"Month\", \"1958\"\n1,2\n", true).unwrap().names(), ["Month", "1958"]);
}

#[test]
fn delimiters_are_found_out() {
    for text in [
        "a;b\n1.5;2.25\n3;4.75\n",
        "a\tb\n1.5\t2.25\n3\t4.75\n",
        "a|b\n1.5|2.25\n3|4.75\n",
        "sep=,\na,b\n1.5,2.25\n3,4.75\n",
    ] {
        let table = Table::parse(text, true).unwrap();
        assert_eq!(table.matrix::<f64, _>(&["a", "b"]).unwrap(), array![[1.5, 2.25], [3.0, 4.75]], "{text}");
    }
    let decimal = CsvOptions::new().decimal(',').parse("a;b\n1,5;2,25\n3,0;4,75\n").unwrap();
    assert_eq!(decimal.matrix::<f64, _>(&["a", "b"]).unwrap(), array![[1.5, 2.25], [3.0, 4.75]]);
    let thousands = CsvOptions::new().thousands(',').parse("a\n\"1,234\"\n\"-12,345,678.5\"\n").unwrap();
    assert_eq!(thousands.numbers::<f64>("a").unwrap(), array![1234.0, -12_345_678.5]);
    assert!(CsvOptions::new().thousands(',').parse("a\n\"1,23\"\n").unwrap().numbers::<f64>("a").is_err());
    // One column of texts with commas and a header without.
    assert_eq!(Table::parse("a\n\"x, y\"\n", true).unwrap().names(), ["a"]);
    refused(CsvOptions::new().delimiter(',').decimal(',').parse("a\n1\n"), &["CsvOptions", "`decimal`", "','"]);
    refused(CsvOptions::new().delimiter('é').parse("a\n1\n"), &["`delimiter`"]);
}

#[test]
fn words_for_what_is_missing() {
    let table = Table::parse("a\n1\nNULL\nNone\n#N/A\nn/a\n<NA>\n-nan\n", true).unwrap();
    let numbers = table.numbers::<f64>("a").unwrap();
    assert!(numbers[0] == 1.0 && numbers.iter().skip(1).all(|x| x.is_nan()) && numbers.len() == 7);
    let own = CsvOptions::new().missing(["-", "."]).parse("a\n1\n-\n.\n").unwrap().numbers::<f64>("a").unwrap();
    assert!(own[1].is_nan() && own[2].is_nan());
}

#[test]
fn names_that_come_again_are_numbered() {
    let table = Table::parse("a,a,b\n1,2,3\n", true).unwrap();
    assert_eq!(table.names(), ["a", "a.1", "b"]);
    assert_eq!(table.numbers::<f64>("a.1").unwrap(), array![2.0]);
    assert_eq!(Table::parse("x\nTRUE\nfalse\n", true).unwrap().booleans("x").unwrap(), [true, false]);
}

#[test]
fn packed_files_and_other_encodings() {
    let path = std::env::temp_dir().join(format!("gradus-encodings-{}.csv", std::process::id()));
    let text = "a;b\nMüller;1\n";
    let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()].concat()
    };
    // `printf 'a;b\nM\u00fcller;1\n' | gzip -n`
    let packed = include_bytes!("table.csv.gz").to_vec();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [utf16([0xff, 0xfe], u16::to_le_bytes), utf16([0xfe, 0xff], u16::to_be_bytes), packed, marked] {
        std::fs::write(&path, bytes).unwrap();
        let table = Table::read(&path, true).unwrap();
        assert_eq!((table.names().join(" "), table.texts("a").unwrap()), ("a b".to_owned(), vec!["Müller".to_owned()]));
        let rows: Vec<String> = gradus::data::Stream::csv(&path, true)
            .pass(0)
            .unwrap()
            .map(|row| row.unwrap().text("a").unwrap().to_owned())
            .collect();
        assert_eq!(rows, ["Müller"]);
    }
    std::fs::write(&path, b"a\nM\xfcller\n").unwrap();
    refused(Table::read(&path, true), &["line 2", "UTF-8", "Latin-1"]);
    std::fs::remove_file(&path).unwrap();
}
