//! The test kit against a reference server, where one is installed.
//!
//! Without one these tests pass without having shown anything.

use testkit::Client;
use testkit::model::{Flavour, Model};
use testkit::random::{Clocks, Comparison};
use testkit::server::Oracle;

/// What the server's clock shows, in milliseconds.
fn now_ms(client: &mut Client) -> u64 {
    let reply = client.command(&["TIME"]).unwrap();
    let testkit::Value::Array(parts) = reply else { panic!("{reply}") };
    let number = |at: usize| -> u64 {
        String::from_utf8_lossy(parts[at].as_bytes().unwrap()).parse().unwrap()
    };
    number(0) * 1000 + number(1) / 1000
}

#[test]
fn the_model_answers_as_the_reference_server_does() {
    let Some(oracle) = Oracle::find() else { return };
    let is_valkey = oracle.target().name == "valkey";
    let flavour = if is_valkey { Flavour::Valkey } else { Flavour::Redis };
    for seed in 0..6 {
        let now_ms = now_ms(&mut oracle.server().client().unwrap());
        let clocks = Clocks::Real { slack_ms: 30_000 };
        let comparison = Comparison { seed, commands: 2_000, now_ms, clocks };
        let outcome = comparison.run(&mut Model::like(flavour, now_ms), &mut oracle.executor());
        if let Err(difference) = outcome {
            panic!("the model (first) and {} differ\n{difference}", oracle.target());
        }
    }
}
