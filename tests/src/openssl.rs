//! The `openssl` program: what administrators make their files with.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs it to its end; what it printed.
#[track_caller]
pub fn run(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    with_password(arguments, "", input)
}

/// What `openssl pkcs12 -export OPTIONS` makes of keys and certificates in PEM.
#[track_caller]
pub fn pkcs12(pem: &str, password: &str, options: &[&str]) -> Vec<u8> {
    let arguments = [&["pkcs12", "-export", "-passout", "env:PFX_PASSWORD"], options].concat();
    with_password(&arguments, password, pem.as_bytes())
}

fn with_password(arguments: &[&str], password: &str, input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .env("PFX_PASSWORD", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("openssl: {error}: apt-get install openssl (make setup-test)")
        });
    let mut stdin = process.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("openssl reads it all");
    drop(stdin);
    let output = process.wait_with_output().expect("it is our child");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {errors}");
    output.stdout
}
