//! The columns of tables as one matrix: scikit-learn's numbers, saving, single rows, refusals; and dates as pandas has them.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use gradus::data::preprocessing::*;
use gradus::data::{DateOrder, DateTime, Table};
use gradus::prelude::*;
use serde_json::Value;

use crate::refuses::refuses;

/// What `python_columns.py` says.
fn known() -> Value {
    serde_json::from_str(include_str!("python_columns.json")).unwrap()
}

fn table(known: &Value, name: &str) -> Table {
    Table::parse(known[name].as_str().unwrap(), true).unwrap()
}

fn columns() -> ColumnTransformer {
    ColumnTransformer::new()
        .numbers(["age", "fare"], SimpleImputer::new().strategy(Fill::Median), StandardScaler::new())
        .numbers(["fare"], SimpleImputer::new(), MinMaxScaler::new())
        .one_hot(["colour"], OneHotEncoder::new().ignore_unknown(true))
        .one_hot(["size"], OneHotEncoder::new().drop_first(true))
        .ordinal(["size", "colour"], OrdinalEncoder::new().unknown_value(-1.0))
        .passthrough(["id"])
}

fn close<F: Scalar>(got: &Array2<F>, want: &Value, within: f64) {
    let want: Vec<Vec<f64>> = serde_json::from_value(want.clone()).unwrap();
    assert_eq!(got.nrows(), want.len());
    for (got, want) in got.rows().into_iter().zip(want) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got.f64() - want).abs() <= within, "{got} instead of {want}");
        }
    }
}

#[test]
fn a_matrix_of_all_columns_is_that_of_scikit_learn() {
    let known = known();
    let (train, test) = (table(&known, "train"), table(&known, "test"));
    let columns = columns().fit(&train).unwrap();
    assert_eq!(serde_json::to_value(columns.feature_names().unwrap()).unwrap(), known["names"]);
    close(&columns.transform::<f64>(&train).unwrap(), &known["of_train"], 1e-12);
    close(&columns.transform::<f64>(&test).unwrap(), &known["of_test"], 1e-12);
    close(&columns.transform::<f32>(&test).unwrap(), &known["of_test"], 1e-5);
}

#[test]
fn it_is_kept_beside_a_model_or_within_and_takes_single_rows() {
    let known = known();
    let (train, test) = (table(&known, "train"), table(&known, "test"));
    let days = DateFeatures::new().parts([DatePart::Month, DatePart::Elapsed]).cyclic(true);
    let columns = columns().booleans(["member"]).dates(["day"], days).fit(&train).unwrap();
    let wanted = columns.transform::<f32>(&test).unwrap();
    let folder = std::env::temp_dir().join(format!("gradus-columns-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let steps = Steps::new().with("columns", &columns);
    steps.save(folder.join("steps.json")).unwrap();
    let model = Sequential::new().input([wanted.ncols()]).add(Dense::new(1)).build().unwrap();
    model.save_with_steps(folder.join("model.safetensors"), &steps).unwrap();
    for steps in [Steps::load(folder.join("steps.json")), Steps::of_model(folder.join("model.safetensors"))] {
        let again: ColumnTransformer = steps.unwrap().get("columns").unwrap();
        assert_eq!(again.transform::<f32>(&test).unwrap(), wanted);
        assert_eq!(again.feature_names().unwrap(), columns.feature_names().unwrap());
        // One row, its columns in another order, one of them nobody asked for.
        let names = ["size", "note", "id", "day", "member", "fare", "age", "colour"];
        let row = ["large", "new", "11", "2023-06-15", "0", "8.05", "", "green"];
        assert_eq!(again.transform::<f32>(&Table::from_rows(names, [row]).unwrap()).unwrap().row(0), wanted.row(0));
    }
    // The model itself is loaded as ever.
    let loaded = Model::<f32>::load(folder.join("model.safetensors")).unwrap();
    assert_eq!(loaded.predict(&wanted).unwrap(), model.predict(&wanted).unwrap());
    model.save(folder.join("plain.safetensors")).unwrap();
    refuses(Steps::of_model(folder.join("plain.safetensors")), &["plain.safetensors", "no steps"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_does_not_fit_is_refused_by_column_and_row() {
    let known = known();
    let train = table(&known, "train");
    let of = |text: &str| Table::parse(text, true).unwrap();
    let fit = |columns: ColumnTransformer| columns.fit(&train);
    refuses(fit(ColumnTransformer::new().passthrough(["height"])), &["column", "`height`", "age"]);
    refuses(fit(ColumnTransformer::new().passthrough(["colour"])), &["`colour`", "numbers", "\"red\" at row 0"]);
    refuses(fit(ColumnTransformer::new().booleans(["size"])), &["`size`", "true or false"]);
    refuses(fit(ColumnTransformer::new().dates(["size"], DateFeatures::new())), &["`size`", "row 0", "small"]);
    refuses(columns().fit(&of("age,fare\n")), &["ColumnTransformer", "rows"]);
    refuses(columns().transform::<f32>(&train), &["fit it on training data first"]);
    refuses(columns().feature_names(), &["fit it on training data first"]);
    let strict = fit(ColumnTransformer::new().one_hot(["size", "colour"], OneHotEncoder::new())).unwrap();
    refuses(strict.transform::<f64>(&table(&known, "test")), &["size, colour", "violet at row 1, column 1"]);
    refuses(Table::from_rows(["a", "b"], [["1"]]), &["2 fields", "1 at row 0"]);
    refuses(Table::from_rows(["a", "a"], [["1", "2"]]), &["two called `a`"]);
    let broken = serde_json::json!({ "groups": [{ "columns": ["a"], "kind": "magic", "step": {} }] });
    refuses(
        <ColumnTransformer as gradus::config::Configured>::from_config(broken.as_object().unwrap()),
        &["groups", "magic"],
    );
    // A column without a value is zeros, not left out.
    let empty = of("age,fare\n,1\n,3\n");
    let columns = ColumnTransformer::new().numbers(["age", "fare"], SimpleImputer::new(), MaxAbsScaler::new());
    let columns = columns.fit(&empty).unwrap();
    assert_eq!(columns.transform::<f64>(&empty).unwrap(), array![[0.0, 1.0 / 3.0], [0.0, 1.0]]);
}

#[test]
fn dates_are_those_of_the_calendar() {
    for row in known()["dates"].as_array().unwrap() {
        let time = DateTime::parse(row["text"].as_str().unwrap(), DateOrder::YearMonthDay).unwrap();
        let number = |name: &str| row[name].as_f64().unwrap();
        let whole = ["year", "month", "day", "weekday", "day_of_year"].map(|name| number(name) as u32);
        assert_eq!([time.year, time.month, time.day, time.weekday(), time.day_of_year()], whole, "{row}");
        let features = DateFeatures::new().parts([DatePart::Hour, DatePart::Elapsed]);
        let numbers = features.transform(row["text"].as_str().unwrap()).unwrap();
        assert!((numbers[0] - number("hour")).abs() < 1e-9 && (numbers[1] - number("elapsed")).abs() < 1e-9, "{row}");
    }
    let orders = [("3/4/2021", DateOrder::MonthDayYear), ("04.03.2021", DateOrder::DayMonthYear)];
    for (text, order) in orders {
        let time = DateTime::parse(text, order).unwrap();
        assert_eq!((time.year, time.month, time.day), (2021, 3, 4));
    }
    assert_eq!(DateTime::parse(" 2021-03-04T05:06:07.25Z ", DateOrder::default()).unwrap().second, 7.25);
    // Opposite ends of a year lie side by side on the circle.
    let circle = DateFeatures::new().parts([DatePart::DayOfYear]).cyclic(true);
    let (last, first) = (circle.transform("2023-12-31").unwrap(), circle.transform("2024-01-01").unwrap());
    assert!((last[0] - first[0]).abs() < 0.03 && (last[1] - first[1]).abs() < 0.03);
    for text in [
        "",
        "2021",
        "2021-3",
        "2021-02-29",
        "1900-02-29",
        "2021-13-01",
        "2021-00-01",
        "2021-01-32",
        "0-1-1",
        "2021-01-01 24:00",
        "2021-01-01 10",
        "2021-01-01 10:60",
        "2021-01-01 10:00:60",
        "2021-01-01 10:00:1e1",
        "2021-01-01 10:00:00:00",
        "2021-+1-01",
        "2021-01-01 -1:00",
        "99999999999-01-01",
        "a-b-c",
        "1.2/2021",
        "2021-01-01-01",
    ] {
        refuses(DateTime::parse(text, DateOrder::YearMonthDay), &["a date such as 2024-02-29", text]);
    }
}
