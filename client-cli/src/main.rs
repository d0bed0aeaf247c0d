//! `sknock`: opens hidden services from the command line.

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic if the output is closed

mod arguments;
mod credentials;
mod failure;
mod help;
mod misread;
mod password;
mod permissions;
mod report;
mod splice;
mod stdio;

use std::process::ExitCode;

use arguments::{Goal, Task};
use failure::Failure;
use sknock::{Client, Doubt, Service};

fn main() -> ExitCode {
    // Before any thread starts, as threads inherit the mask.
    splice::block_sigxfsz();
    let words: Vec<_> = std::env::args_os().collect();
    let task = match arguments::parse(&words) {
        Ok(task) => task,
        Err(answer) => {
            let code = help::print(&answer);
            let behind = misread::variable_behind(&words, &answer, |name| std::env::var_os(name));
            if let Some(about) = behind {
                report::note(&about);
            }
            return code;
        }
    };
    match run(&task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failed(&task, &failure);
            failure.code().into()
        }
    }
}

fn run(task: &Task) -> Result<(), Failure> {
    let client = client(task)?;
    refuse_pointless_knock(&client, &task.goal)?;
    match &task.goal {
        Goal::Knock(services) => {
            let opened = client.knock(&task.host, services)?;
            report::opened(task, &opened, &client.doubts())
        }
        Goal::Connect(port) => {
            let connection = client.reach(&task.host, *port)?;
            report::connected(task, &connection.opened, &client.doubts());
            splice::with_stdio(&connection.stream)
        }
    }
}

/// Servers never answer a refused knock: a knock that is certain to be refused would only wait for the time
/// limit.
fn refuse_pointless_knock(client: &Client, goal: &Goal) -> Result<(), Failure> {
    let doubts = match goal {
        Goal::Knock(services) => client.doubts_about(services),
        Goal::Connect(port) => client.doubts_about(Service::tcp(*port).as_slice()),
    };
    match doubts.into_iter().find(Doubt::is_certain) {
        Some(doubt) => Err(Failure::Pointless(doubt)),
        None => Ok(()),
    }
}

fn client(task: &Task) -> Result<Client, Failure> {
    let options = &task.options;
    let (identity, server) = credentials::load(task)?;
    let builder = Client::builder(identity, server);
    let builder = match options.knock_port {
        Some(port) => builder.knock_port(port),
        None => builder,
    };
    Ok(builder
        .protocol_version(options.protocol)
        .attempts(options.attempts)
        .timeout(options.timeout())
        .verify(!options.no_verify)
        .family(options.family())
        .address(options.address)
        .lifetime(options.lifetime)
        .single_use(options.once)
        .build())
}
