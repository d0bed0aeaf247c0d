//! `sknock-config.ini(5)`, from the table of keys.

use roff::{Roff, roman};

use crate::{GeneratedFile, prose};

/// One key of the configuration file.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// The value without a setting; may be empty.
    pub default: String,
    /// The values that it may have.
    pub values: String,
    /// What it is for.
    pub text: String,
}

/// The page. `preface` explains the form of the file.
pub fn config_page(preface: &str, keys: &[KeyEntry]) -> GeneratedFile {
    let mut page = Roff::new();
    page.control("SH", ["NAME"]);
    page.text([roman("sknock-config.ini - configuration of sknockd")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([roman("/etc/sknock/config.ini")]);
    page.control("SH", ["DESCRIPTION"]);
    prose::add(&mut page, preface);
    page.control("SH", ["KEYS"]);
    for KeyEntry { name, default, values, text } in keys {
        let default = if default.is_empty() { "empty" } else { default };
        let limits = format!("Values: {values}. Default: {default}.");
        prose::entry(&mut page, name, text, &limits);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("sknockd(8), sknockd-check(8), sknockd-reload(8)")]);
    GeneratedFile {
        path: "man/sknock-config.ini.5".into(),
        text: prose::page(("sknock-config.ini", 5), &[page.render()]),
    }
}
