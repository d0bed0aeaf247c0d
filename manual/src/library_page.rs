//! `sknock.h(3)`, from the header.

use roff::{Roff, roman};

use crate::{GeneratedFile, prose};

/// The page. Comments of the header begin with `// `; each stands before what it is about.
pub fn library_page(header: &str) -> GeneratedFile {
    let mut page = Roff::new();
    page.control("SH", ["NAME"]);
    page.text([roman("sknock.h - request access to services protected by sKnock, from C")]);
    page.control("SH", ["SYNOPSIS"]);
    page.control("nf", []);
    page.text([roman("#include <sknock.h>")]);
    page.text([roman("cc ... -lsknock")]);
    page.control("fi", []);
    let (preface, rest) = header.split_once("\n#ifndef").unwrap_or((header, ""));
    page.control("SH", ["DESCRIPTION"]);
    prose::add(&mut page, &comment(preface));
    page.control("SH", ["TYPES AND FUNCTIONS"]);
    for block in rest.split("\n\n").filter(|block| block.starts_with("// ")) {
        add(&mut page, block);
    }
    GeneratedFile {
        path: "man/sknock.h.3".into(),
        text: prose::page(("sknock.h", 3), &[page.render()]),
    }
}

/// The text of lines that begin with `//`, without the last one, which says how the header is made.
fn comment(lines: &str) -> String {
    let texts = lines.lines().filter_map(|line| line.strip_prefix("//"));
    let texts = texts.filter(|text| !text.contains("Generated from"));
    texts.map(|text| text.strip_prefix(' ').unwrap_or(text)).collect::<Vec<_>>().join("\n")
}

/// A declaration as it stands, and the comment above it.
fn add(page: &mut Roff, block: &str) {
    let is_comment = |line: &&str| line.starts_with("//");
    let declaration = block.lines().skip_while(is_comment);
    let text: Vec<&str> = block.lines().take_while(is_comment).collect();
    page.control("PP", []);
    page.control("nf", []);
    for line in declaration {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("RS", []);
    prose::add(page, &comment(&text.join("\n")));
    page.control("RE", []);
}
