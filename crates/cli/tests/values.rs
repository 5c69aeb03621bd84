//! Computed values and rows of data, as users of the binary meet them.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use support::{Place, crucible};

fn plan(data: &str, path: &str) -> String {
    format!(
        "name: probe
target: http://127.0.0.1:9
data:
  pupils: {data}
steps:
  - {{get: \"{path}\", name: page}}
tests: {{t: {{vus: 1, for: 1s}}}}
thresholds: {{'*': {{p50: 1s}}}}
"
    )
}

fn check(place: &Place, text: &str) -> (i32, String) {
    let path = place.write("p.yaml", text);
    let told = crucible().args(["plan", "check"]).arg(&path).output();
    (told.code, told.stderr)
}

#[test]
fn mistakes_in_expressions_and_data_are_told_with_their_place() {
    let place = Place::new();
    place.write("pupils.csv", "name,age\nada,12\neve,13\n");
    place.write("broken.csv", "name,age\nada\n");
    let good = plan("{csv: pupils.csv}", "/${pupils.name | upper}/${random(1, pupils.age)}");
    let (code, told) = check(&place, &good);
    assert_eq!(code, 0, "{told}");
    for (data, path, line, part) in [
        ("{csv: pupils.csv}", "/${pupils.nam}", "6:", "did you mean `name`"),
        ("{csv: pupils.csv}", "/${pupils.nam | upper}", "6:", "did you mean `name`"),
        ("{csv: pupils.csv}", "/${uper(pupils.name)}", "6:", "did you mean `upper`"),
        ("{csv: pupil.csv}", "/${pupils.name}", "4:", "folder of the plan"),
        ("{csv: broken.csv}", "/${pupils.name}", "4:", "line 2: 1 values for 2 columns"),
        ("{csv: pupils.csv, separater: ';'}", "/", "4:", "did you mean `separator`"),
        ("{generate: {name: '${1 / row}'}}", "/${pupils.name}", "4:", "division by zero"),
    ] {
        let (code, told) = check(&place, &plan(data, path));
        assert!(
            code == 2 && told.contains(&format!("p.yaml:{line}")) && told.contains(part),
            "{part}: {told}"
        );
    }
}
