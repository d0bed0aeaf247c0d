//! One page for a program and one for each of its commands.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::{GeneratedFile, prose};

/// The section of the manual.
#[derive(Clone, Copy, Debug)]
pub enum ManualSection {
    /// Programs of users.
    User = 1,
    /// Programs of the administrator.
    System = 8,
}

/// The pages of a program and its commands, without those that only the program itself runs. `related` are other
/// pages, like `sknockd(8)`.
pub fn manual_pages(
    command: Command,
    section: ManualSection,
    related: &[&str],
) -> Vec<GeneratedFile> {
    let mut command = command.disable_help_subcommand(true);
    // Names of the commands, such as `sknock-knock`.
    command.build();
    let mut pages = Vec::new();
    add(&command, section, related, &mut pages);
    pages
}

fn add(
    command: &Command,
    section: ManualSection,
    related: &[&str],
    pages: &mut Vec<GeneratedFile>,
) {
    let number = section as u8;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let text = page(command, number, related).expect("a vector takes all");
    pages.push(GeneratedFile { path: format!("man/{name}.{number}"), text });
    for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        add(one, section, related, pages);
    }
}

fn page(command: &Command, section: u8, related: &[&str]) -> io::Result<String> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone()).section(section.to_string());
    let mut parts = vec![head(name, command).render(), synopsis(command).render()];
    parts.push(description(command).render());
    let mut rendered = |render: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
        let mut bytes = Vec::new();
        render(&mut bytes)?;
        parts.push(String::from_utf8_lossy(&bytes).into_owned());
        io::Result::Ok(())
    };
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        rendered(&|mut bytes| man.render_options_section(&mut bytes))?;
    }
    if command.get_subcommands().any(|one| !one.is_hide_set()) {
        rendered(&|mut bytes| man.render_subcommands_section(&mut bytes))?;
    }
    if let Some(more) = command.get_after_long_help() {
        parts.push(notes(&more.to_string()).render());
    }
    parts.push(see_also(name, section, related).render());
    Ok(prose::page((name, section), &parts))
}

/// The short description of a list of pages: the first part of the first sentence.
fn head(name: &str, command: &Command) -> Roff {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let end = about.find([';', ':']).into_iter().chain(about.find(". ")).min();
    let short = about.get(..end.unwrap_or(about.len())).unwrap_or_default();
    let mut page = Roff::new();
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {}", short.trim_end_matches('.')))]);
    page
}

/// As `--help` shows it.
fn synopsis(command: &Command) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["SYNOPSIS"]);
    page.control("nf", []);
    let usage = command.clone().render_usage().to_string();
    for line in usage.trim_start_matches("Usage: ").lines() {
        page.text([roman(line.trim())]);
    }
    page.control("fi", []);
    page
}

fn description(command: &Command) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["DESCRIPTION"]);
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        prose::add(&mut page, &about.to_string());
    }
    page
}

fn notes(text: &str) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["NOTES"]);
    prose::add(&mut page, text);
    page
}

fn see_also(name: &str, section: u8, related: &[&str]) -> Roff {
    // The page of the program itself, from those of its commands.
    let (program, _) = name.rsplit_once('-').filter(|_| name != "sknock-ca").unwrap_or(("", name));
    let program = (!program.is_empty()).then(|| format!("{program}({section})"));
    let all = program.into_iter().chain(related.iter().map(|&one| one.to_owned()));
    let mut page = Roff::new();
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(all.collect::<Vec<_>>().join(", "))]);
    page
}
