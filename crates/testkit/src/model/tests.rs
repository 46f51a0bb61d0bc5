//! The tests of the model beside the comparison with a reference server.

use super::*;
use crate::notation;

fn run(model: &mut Model, line: &str) -> String {
    model.run("c1", &notation::words(line)).to_string()
}

#[test]
fn rows_are_in_order_and_unique() {
    assert!(ROWS.is_sorted_by(|left, right| left.0 < right.0));
}

#[test]
fn a_key_is_there_at_its_deadline_and_gone_after_it() {
    let mut model = Model::new(1_000_000);
    run(&mut model, "SET a 1 PX 20");
    model.advance(20);
    assert_eq!(run(&mut model, "PTTL a"), "(integer) 0");
    model.advance(1);
    assert_eq!(run(&mut model, "GET a"), "(nil)");
    assert_eq!(run(&mut model, "DBSIZE"), "(integer) 0");
}

#[test]
fn each_client_has_its_own_database() {
    let mut model = Model::new(0);
    run(&mut model, "SET a 1");
    let select = notation::words("SELECT 1");
    assert_eq!(model.run("c2", &select), Value::ok());
    assert_eq!(model.run("c2", &notation::words("GET a")), Value::Nil);
    assert_eq!(run(&mut model, "GET a"), "\"1\"");
}
