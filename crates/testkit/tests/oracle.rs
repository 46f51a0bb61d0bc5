//! The test kit against a reference server, where one is installed.
//!
//! Without one these tests pass without having shown anything.

use testkit::model::{Flavour, Model};
use testkit::random::{Clocks, Comparison};
use testkit::server::Oracle;
use testkit::transcript::{Run, run_folder};
use testkit::{Dialect, Value};

/// What the server's clock shows, in milliseconds.
fn now_ms(oracle: &Oracle) -> u64 {
    let mut client = oracle.server().client().expect("it has answered before");
    let reply = client.command(&["TIME"]).expect("it has answered before");
    let Value::Array(parts) = reply else { panic!("{reply}") };
    let number =
        |part: &Value| -> Option<u64> { std::str::from_utf8(part.as_bytes()?).ok()?.parse().ok() };
    let [seconds, us] = &parts[..] else { panic!("{parts:?}") };
    number(seconds).zip(number(us)).map(|(s, us)| s * 1000 + us / 1000).expect("two numbers")
}

#[test]
fn the_model_answers_as_the_reference_server_does() {
    let Some(oracle) = Oracle::find() else { return };
    let flavour = Flavour::of(oracle.target());
    for seed in 0..6 {
        let now_ms = now_ms(&oracle);
        let clocks = Clocks::Real { slack_ms: 30_000 };
        let comparison = Comparison { seed, commands: 2_000, now_ms, clocks };
        let outcome = comparison.run(&mut Model::like(flavour, now_ms), &mut oracle.executor());
        if let Err(difference) = outcome {
            panic!("the model (first) and {} differ\n{difference}", oracle.target());
        }
    }
}

#[test]
fn the_sample_transcript_holds_in_both_dialects() {
    let Some(oracle) = Oracle::find() else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    for dialect in [Dialect::Resp2, Dialect::Resp3] {
        let run = Run { target: oracle.target().clone(), dialect };
        run_folder(folder, &run, || oracle.executor()).unwrap().assert_clean();
    }
}
