"""Reads a PowerShell script with tree-sitter's grammar and prints what is wrong with it, a line each; runs nothing.

The script must parse, in the syntax of Windows PowerShell 5.1; use only commands and methods that read or format; call
nothing whose name is made at run time; read no property that names an account or holds a password; and be short enough to
be read as a whole.
"""

import re
import sys

import tree_sitter
import tree_sitter_powershell

LONGEST = 210
COMMANDS = """convertto-json foreach-object get-itemproperty get-service get-webapplication get-webapppoolstate
    get-webconfigurationproperty get-website get-wmiobject import-module move-item select-object test-path
    where-object""".split()
METHODS = """fill getbaseexception getbytes getconfiguration getenabledupdatelanguages gethostentry
    getlastsynchronizationinfo getsubscription getsynchronizationstatus gettype getunresolvedproviderpathfrompspath
    getupdatecategories getupdateclassifications getupdateserver getversioninfo loadwithpartialname new
    openstandardoutput replace tostring trim write writeallbytes""".split()
# Never read: of accounts the script computes whether one is set, out of properties that it takes by these two names.
SECRET = re.compile("user|account|password|credential", re.IGNORECASE)
ACCOUNTS = ["username", "wsusaccessaccount"]
# Only 7 knows these; its other novelties the grammar does not parse.
OPERATORS_OF_7 = ["&&", "||"]


def every(node):
    yield node
    for child in node.children:
        yield from every(child)


def text(node):
    return node.text.decode("utf-8", "replace")


def faults(source):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    nodes = list(every(parser.parse(source).root_node))
    functions = [text(node).lower() for node in nodes if node.type == "function_name"]
    lines = source.count(b"\n")
    if lines > LONGEST:
        yield 0, f"{lines} lines are more than {LONGEST}: nobody reads them as a whole"
    if any(byte > 127 for byte in source):
        yield 0, "a letter beyond ASCII: 5.1 reads a file without BOM in the code page of its server"
    for node in nodes:
        line, name = node.start_point[0] + 1, text(node).lower()
        if node.is_missing or node.type == "ERROR":
            yield line, f"syntax error at {text(node)[:40]!r}"
        elif node.type in OPERATORS_OF_7:
            yield line, f"{node.type} is not known to 5.1"
        elif node.type == "command_name" and name not in COMMANDS and name not in functions:
            yield line, f"{text(node)} is no command of the list"
        elif node.type == "command_name_expr" and node.children[0].type != "command_name" and name != "$read":
            yield line, f"{text(node)} is called, and is no name of a command"
        elif node.type == "invokation_expression":
            member = next((child for child in node.children if child.type == "member_name"), node)
            if text(member).lower() not in METHODS:
                yield line, f"{text(member)} is no method of the list"
        elif node.type == "member_access":
            member = node.children[-1]
            if SECRET.search(text(member)):
                yield line, f"{text(member)} is read out"
            elif member.type == "member_name" and member.children[0].type == "variable":
                yield line, f"{text(member)} names a property at run time"
        elif node.type == "string_literal" and SECRET.search(name) and re.fullmatch(r"['\"][\w ]+['\"]", name):
            if name.strip("'\"") not in ACCOUNTS:
                yield line, f"{text(node)} names what is not to be read out"


def main():
    wrong = 0
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            for line, fault in faults(file.read()):
                wrong += 1
                print(f"{path}:{line}: {fault}")
    return 1 if wrong else 0


sys.exit(main())
