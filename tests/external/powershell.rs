//! The PowerShell script, as far as it can be checked without PowerShell: its syntax by tree-sitter's grammar, and the commands
//! and methods it uses by allow-lists. Not shown: that it runs, and what a server answers.

use std::process::{Command, Output};

use supwatch_tests::{root, text};

fn lint(script: &str) -> Output {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("script.ps1");
    std::fs::write(&path, script).expect("written");
    let lint = root().join("tests/external/powershell_lint.py");
    Command::new("python3").arg(lint).arg(&path).output().expect("python3 is installed")
}

fn script() -> String {
    std::fs::read_to_string(root().join("deploy/windows/Get-SyncSettings.ps1")).expect("the script")
}

#[test]
fn the_settings_script_parses_and_only_reads() {
    let output = lint(&script());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// The check must be able to fail: each of these lines, added to the good script, must be found.
#[test]
fn a_spoilt_script_is_found_out() {
    for (line, expected) in [
        ("if ($true) {", "syntax error"),
        ("$answer = $true ? 1 : 2", "syntax error"),
        ("$answer = $code ?? 'none'", "syntax error"),
        ("$answer = $code?.Length", "syntax error"),
        ("Get-Service && Get-Website", "&& is not known to 5.1"),
        ("Get-Servcie", "Get-Servcie is no command of the list"),
        ("Set-Service -Name W3SVC", "Set-Service is no command of the list"),
        ("iex 'x'", "iex is no command of the list"),
        ("& $command", "$command is called"),
        ("& \"Stop-Service\"", "is called"),
        ("C:\\Windows\\System32\\net.exe stop W3SVC", "net.exe is no command of the list"),
        ("$set.Save()", "Save is no method of the list"),
        ("$subscription.StartSynchronization()", "StartSynchronization is no method of the list"),
        ("$set.$name()", "$name is no method of the list"),
        ("$set.ProxyUserName", "ProxyUserName is read out"),
        ("\"$($set.HasProxyPassword)\"", "HasProxyPassword is read out"),
        ("$set.$name", "$name names a property at run time"),
        ("$set | Select-Object -Property @('ProxyUserDomain')", "'ProxyUserDomain' names what is not to be read out"),
        ("$text = 'für'", "a letter beyond ASCII"),
        (&"\n".repeat(200), "nobody reads them"),
    ] {
        let output = lint(&format!("{}\n{line}\n", script()));
        assert!(
            !output.status.success() && text(&output.stdout).contains(expected),
            "{line}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}
