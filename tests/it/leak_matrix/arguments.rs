//! What clap tells of a command line with the key on it, or in a variable that it reads.

#![allow(clippy::print_stdout, reason = "what comes out of a child")]

use clap::{Arg, ArgAction, ArgMatches, Command, Parser};
use keyward::redact;
use keyward::reference::References;
use secrecy::SecretString;

use super::child;
use super::place::{VARIABLE, debug, exposed, string};
use super::row::{Row, around, here};

const DISPLAY: &str = "`redact::display` of clap's error";
const REFERENCE: &str = "the argument is a reference, `env:NAME`";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = help();
    rows.extend(errors());
    rows.extend(parsed());
    rows
}

fn help() -> Vec<Row> {
    vec![
        Row::new(
            "`--help` with `env`",
            around(with_variable, || print_help(from_env())),
            around(with_variable, || print_help(from_env().value_parser(secret))),
            around(with_variable, || print_help(reference())),
        )
        .by(REFERENCE),
        Row::new(
            "`--help` with `env` and `hide_env_values`",
            around(with_variable, || print_help(from_env().hide_env_values(true))),
            around(with_variable, || {
                print_help(from_env().hide_env_values(true).value_parser(secret));
            }),
            around(with_variable, || print_help(reference())),
        )
        .clean_because("the value is hidden")
        .by(REFERENCE),
        Row::new(
            "`--help` with the key for a default",
            here(|| help_of(key().default_value(string().leak() as &str))),
            here(|| help_of(key().default_value(exposed().leak() as &str).value_parser(secret))),
            here(|| help_of(reference())),
        )
        .by(REFERENCE),
    ]
}

fn errors() -> Vec<Row> {
    vec![
        Row::new(
            "an invalid value",
            here(|| error(key().value_parser(refuse), &["--key", &string()]).to_string()),
            here(|| error(key().value_parser(refuse_secret), &["--key", &exposed()]).to_string()),
            here(|| {
                let parser = |text: &str| References::new().chain([text]).map(drop);
                masked(&error(key().value_parser(parser), &["--key", &string()]))
            }),
        )
        .by(DISPLAY),
        Row::new(
            "a value that is none of the possible ones",
            here(|| error(key().value_parser(["one"]), &["--key", &string()]).to_string()),
            here(|| error(key().value_parser(["one"]), &["--key", &exposed()]).to_string()),
            here(|| masked(&error(key().value_parser(["one"]), &["--key", &string()]))),
        )
        .by(DISPLAY),
        Row::new(
            "an unexpected argument",
            here(|| error(key(), &[&string()]).to_string()),
            here(|| error(key(), &[&exposed()]).to_string()),
            here(|| masked(&error(reference(), &[&string()]))),
        )
        .by(DISPLAY),
        Row::new(
            "a value behind a flag",
            here(|| error(flag(), &[&format!("--key={}", string())]).to_string()),
            here(|| error(flag(), &[&format!("--key={}", exposed())]).to_string()),
            here(|| masked(&error(flag(), &[&format!("--key={}", string())]))),
        )
        .by(DISPLAY),
        Row::new(
            "an unknown subcommand",
            here(|| no_subcommand(&string()).to_string()),
            here(|| no_subcommand(&exposed()).to_string()),
            here(|| masked(&no_subcommand(&string()))),
        )
        .by(DISPLAY),
        Row::new(
            "`Debug` of clap's error",
            here(|| debug(&error(key(), &[&string()]))),
            here(|| debug(&error(key(), &[&exposed()]))),
            here(|| {
                let error = error(reference(), &[&string()]);
                redact::text(&debug(&error)).into_owned()
            }),
        )
        .by("`redact::text`"),
        Row::new(
            "a value that is not UTF-8",
            here(|| error_of(broken(&string())).to_string()),
            here(|| error_of(broken(&exposed())).to_string()),
            here(|| masked(&error_of(broken(&string())))),
        )
        .clean_because("clap tells the usage alone"),
        Row::new(
            "an argument that is missing beside the key",
            here(|| missing(&string())),
            here(|| missing(&exposed())),
            here(|| missing("file:/run/secrets/openai")),
        )
        .clean_because("clap names the argument that it misses")
        .by(REFERENCE),
    ]
}

fn parsed() -> Vec<Row> {
    vec![
        Row::new(
            "`derive(Debug)` on the arguments",
            here(|| debug(&Arguments::parse_from(["service", "--key", &string()]))),
            here(|| debug(&SecretArguments::parse_from(["service", "--key", &exposed()]))),
            here(|| debug(&Arguments::parse_from(["service", "--key", "env:OPENAI_API_KEY"]))),
        )
        .by(REFERENCE),
        Row::new(
            "`Debug` of `ArgMatches`",
            here(|| debug(&matches(key(), &string()))),
            here(|| debug(&matches(key().value_parser(secret), &exposed()))),
            here(|| debug(&matches(reference(), "file:/run/secrets/openai"))),
        )
        .by(REFERENCE),
    ]
}

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    key: String,
}

#[derive(Debug, Parser)]
struct SecretArguments {
    #[arg(long)]
    key: SecretString,
}

fn key() -> Arg {
    Arg::new("key").long("key")
}

fn from_env() -> Arg {
    key().env(VARIABLE)
}

fn flag() -> Arg {
    key().action(ArgAction::SetTrue)
}

fn reference() -> Arg {
    key().default_value("env:OPENAI_API_KEY")
}

fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

fn refuse(_: &str) -> Result<String, String> {
    Err("it is not of a known kind".to_owned())
}

fn refuse_secret(_: &str) -> Result<SecretString, String> {
    Err("it is not of a known kind".to_owned())
}

fn service(arg: Arg) -> Command {
    Command::new("service").arg(arg)
}

fn matches(arg: Arg, value: &str) -> ArgMatches {
    service(arg).try_get_matches_from(["service", "--key", value]).expect("arguments")
}

fn error(arg: Arg, arguments: &[&str]) -> clap::Error {
    let arguments = ["service"].iter().chain(arguments);
    service(arg).try_get_matches_from(arguments).expect_err("wrong arguments")
}

fn error_of(arguments: Vec<std::ffi::OsString>) -> clap::Error {
    service(key()).try_get_matches_from(arguments).expect_err("wrong arguments")
}

fn no_subcommand(name: &str) -> clap::Error {
    let service = Command::new("service").subcommand(Command::new("run"));
    service.try_get_matches_from(["service", name]).expect_err("no such subcommand")
}

fn broken(key: &str) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt as _;

    let value = std::ffi::OsString::from_vec([key.as_bytes(), &[0xff]].concat());
    vec!["service".into(), "--key".into(), value]
}

fn missing(key: &str) -> String {
    let service = service(self::key()).arg(Arg::new("host").long("host").required(true));
    service.try_get_matches_from(["service", "--key", key]).expect_err("no host").to_string()
}

fn masked(error: &clap::Error) -> String {
    redact::display(error).to_string()
}

fn help_of(arg: Arg) -> String {
    service(arg).render_long_help().to_string()
}

fn print_help(arg: Arg) {
    println!("{}", help_of(arg));
}

fn with_variable(mut command: std::process::Command) -> String {
    command.env(VARIABLE, string());
    child::output(command)
}
