//! Tables from CSV files: types, what is missing, and what is broken.
#![allow(clippy::unwrap_used)]

use gradus::data::Table;
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
