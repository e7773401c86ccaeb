"""One sentence for everything the server's commands say no to, by code; braces are the facts of the error."""

from __future__ import annotations

from loyalty_desk.domain.errors import ForPerson

SENTENCES = {
    "setting_wrong": "The setting {setting} ({variable}) is wrong: {why}.",
    "server_running": "A server is already running on {data} (process {process}). Stop it first, or use it.",
    "server_absent": "No server answers at {address}. Start it first, in another window: loyalty-server run",
    "port_taken": "Port {port} on {host} is used by another program. Choose another with --port or LOYALTY_PORT.",
    "schema_old": "The database is older than this program ({found}, wants {wants}). Run: loyalty-server db upgrade",
    "schema_newer": "The database was upgraded by a newer program ({found}). Install that version.",
    "role_too_strong": "The role {role} sees past the walls between networks. Use one that is no superuser.",
    "master_key_other": (
        "This master key does not open the database. Put back the file master.key that belongs to it, or set"
        " LOYALTY_MASTER_KEY."
    ),
    "owner_missing": "To upgrade this database set LOYALTY_OWNER_DATABASE_URL to the role that owns its tables.",
    "network_name": "A network's name has 1 to {limit} printable letters.",
    "network_kind": "The kind of a network is one of: {wants}.",
    "network_exists": "This network has been made already ({network}).",
    "network_named": (
        "There is a network {name} already ({network}). To make another one of that name, add --same-name."
    ),
    "network_unknown": "There is no network {network}. List them with: loyalty-server networks",
    "network_missing": "There is no network yet. Make one with: loyalty-server create-network NAME",
    "network_unclear": "There are several networks. Say which with --network: {networks}",
    "store_missing": "A network needs at least one store. Name it with --store.",
    "store_name": "A store's name has 1 to {limit} printable letters.",
    "store_unknown": "There is no store {store} in this network.",
    "store_unclear": "There are several stores. Say which with --store: {stores}",
    "profile_unknown": (
        "There is no profile {profile}. There are: {known}. To make one, say with --limit what is different in it."
    ),
    "profile_name": "A profile's name has 1 to {limit} printable letters.",
    "limit_unknown": "There is no limit {limit}. The limits are: {known}.",
    "limit_value": "The limit {limit} should be {wants}.",
    "currency_unknown": "The currency {currency} is not known here. Use a code like RUB, USD or EUR.",
    "zone_unknown": "The time zone {zone} is not known. Use a name like Europe/Moscow.",
    "pairing_insecure": (
        "A till reaches {address} without encryption: that is allowed on this computer alone (http://127.0.0.1)."
    ),
    "pairing_malformed": "The address must look like http://127.0.0.1:8765 or https://loyalty.example.",
    "pairing_void": "This code was shown twice or refused, so it is worth nothing now. Make a new one.",
    "pairing_expired": "No till has shown the code in time. Make a new one.",
    "guest_unknown": "Nobody in this network has that card, phone, number or id.",
    "scan_empty": "Name a guest: by a card's code, a phone, a member number or the id.",
    "scan_not_text": "That is no card, phone, member number or id of a guest.",
    "scan_too_long": "That is longer than any code, phone, number or id of a guest.",
    "code_of_goods": "That is the code of goods, not of a guest.",
    "code_kind_unknown": "That code is of a newer kind than this version reads.",
    "code_foreign": "That is no card, phone, member number or id of a guest.",
    "code_malformed": "That card code is damaged: type it again.",
    "file_too_large": "The file {file} is larger than {limit} bytes.",
    "file_malformed": "The file {file} is not understood: it is no {kind}, see line {line}.",
    "file_not_object": "The file {file} must hold one object with named fields.",
    "program_bytes": "The program holds something that no snapshot can: {reason}.",
    "program_currency": "The program counts in {currency}, the network in {wants}.",
    "program_missing": "No program has been published yet. Publish one with: loyalty-server program publish FILE",
    "program_version_unknown": "There is no version {version} of the program.",
    "file_unreadable": "The file {file} cannot be read ({reason}).",
    "file_not_text": "The file {file} is not text in UTF-8.",
    "file_empty": "The file {file} is empty.",
    "file_too_deep": "The file {file} is nested too deeply.",
    "file_field_twice": "In the file {file} the field {field} is given twice.",
    "file_field_unknown": "In the file {file} the field {field} is not a name.",
    "file_field_wrong": "In the file {file}, {place} should be {wants}.",
    "file_field_missing": "The file {file} lacks {field}.",
    "file_two_currencies": "In the file {file}, {place} is in {other}, the program in {one}.",
    "amount_too_precise": "In the file {file}, {place} has more than {decimals} decimals.",
    "field_unknown": "In the program, {field} in {place} means nothing: is it mistyped?",
    "zero_divisor": "In the program, {field} in {place} is 0, so that nothing could be earned or paid with.",
    "redemption_never": "The program takes points and lets them pay 0% of a check. Leave redemption out instead.",
    "tiers_out_of_order": "The tiers of the program do not stand in the order of their thresholds.",
    "tier_unreachable": "Two tiers of the program begin at the same threshold: one is never reached.",
    "code_twice": "The code {code} opens two rules of the program: {place} and rule {other}.",
    "tiers_lower_nothing": "The program's model is points: the discounts of its tiers lower nothing.",
    "tiers_earn_nothing": "The program's model is discount: the points of its tiers are not given.",
    "part_unknown": "In the program, the type {type} in {place} is not known to this version.",
    "rule_id_colon": "In the program, the id of {place} must not hold a colon.",
    "rule_without_effect": "In the program, {place} has no effect.",
    "name_missing": "In the program, {place} has no name in: {languages}.",
    "all_for_nothing": "In the program, {place} gives everything for nothing, without a limit.",
    "opens_nothing": "In the program, the coupon of {place} opens the rule {rule}, which is not there.",
    "bounds_crossed": "In the program, {condition} in {place} can never hold: its bounds are crossed.",
    "dates_crossed": "In the program, {condition} in {place} ends before it begins.",
    "tier_unknown": "In the program, {condition} in {place} names no tier of the program.",
    "segment_unknown": "In the program, {condition} in {place} names no segment: {segment}. There are: {known}.",
    "tiers_dropped": (
        "The program in force has the tiers {tiers}, this one does not: guests who have them would fall to another or"
        " to none. Nothing has been published; if that is meant, add --drop-tiers."
    ),
    "never_matches": "In the program, {place} chooses goods and leaves out the same: it can never apply.",
    "rules_too_many": "The program has {rules} rules, {limit} at most.",
    "limits_too_many": (
        "In the program {limits} totals and budgets are for all guests together, {limit} at most: every till is told"
        " of each."
    ),
    "tier_twice": "The tier {tier} stands twice in the program.",
    "rule_id_twice": "Two rules of the program have the id in {place}.",
    "till_unknown": "There is no till {till}. List them with: loyalty-server till list",
    "till_state": "That cannot be done with a till that is {state}.",
    "quarantine_unknown": "There is no record {number} in quarantine.",
    "quarantine_settled": "Record {number} is settled already: it is {state}.",
    "quarantine_kept": "Record {number} cannot be released: {why}.",
    "exception_kind": "There are no exceptions of the kind {kind}. The kinds are: {wants}.",
    "exception_unknown": "There is no exception {number}.",
    "exception_resolved": "Exception {number} is resolved already.",
    "note_missing": "Say why with --note, in 1 to {limit} printable letters.",
    "person_unknown": "No manager or owner is called {given}. Make one with: loyalty-server create-manager",
    "manager_role": "A manager's role is manager or owner.",
    "staff_role": "A role is one of {wants}.",
    "staff_unknown": "Nobody who works here is called {given}. List them with: loyalty-server staff list",
    "staff_unclear": "Several people are called {given}. Say by the id whom you mean: {people}",
    "pin_malformed": "A PIN has {low} to {high} digits.",
    "staff_name": "A name has 1 to {limit} printable letters.",
    "login_malformed": "A login has 1 to {limit} letters and no spaces.",
    "login_taken": "Somebody else logs in as {login}.",
    "password_weak": "A password has {low} to {high} characters, at least five different ones, and is not the login.",
    "sale_unknown": "There is no sale {receipt} in this network.",
    "sale_unclear": "Several stores have given the receipt number {receipt}. Name the sale by its id.",
    "not_a_sale": "{receipt} is no sale.",
    "codes_exhausted": "Too many short codes are in use. Try again in a minute.",
    "phone_malformed": "That is no phone number.",
    "held_unknown": "There are no points {lot}. List what waits with: loyalty-server held list",
    "held_settled": "Somebody has decided about the points {lot} already.",
    "hold_unknown": "There is no such hold.",
    "store_needed": "Say which store it is for.",
    "store_other": "The token belongs to another store.",
    "system_name": "A system's name has 1 to {limit} printable letters.",
    "system_unknown": "There is no system {system} whose token could be revoked.",
    "code_used": "What the guest has shown has paid already. Let them show a new code.",
    "check_amount_or_lines": "A check has lines, or an amount and no lines.",
    "currency_differs": "The check is in {basket}, the program counts in {program}.",
    "root_other": "That sheet belongs to another network.",
    "keys_exhausted": "This network has used all 255 key numbers.",
    "key_unknown": "There is no key {kid} that could be revoked.",
    "key_last": "Key {kid} is the only one in use. First make another: loyalty-server keys publish --at-once",
    "sheet_kind": "That is another sheet: this one begins with {wants}.",
    "sheet_malformed": "The sheet's text is mistyped ({part}). Compare it letter by letter.",
    "backup_malformed": "The file {file} is no backup, or not a whole one. Nothing has been changed.",
    "backup_elsewhere": "This database is your own PostgreSQL: back it up and restore it with its own tools.",
    "file_unwritable": "The file {file} cannot be written ({reason}).",
    "file_exists": "There is a file {file} already. Choose another name.",
    "list_header": "The first line of the list names its columns, of these: {wants}. Not known: {found}.",
    "list_too_long": "The list has more than {limit} guests. Import it in parts.",
    "list_row": "Line {line} of the list is not understood: it should have {wants}.",
    "list_line": "Line {line} of the list is not understood: {column} should be {wants}.",
    "list_taken": "Line {line} of the list: the {column} {value} is a guest's already who is not in it.",
    "list_wrong": "{count} lines of the list are wrong, the first {named} are named. Nobody has been taken in.",
    "guest_name": "A guest's name has at most {limit} printable letters.",
    "guest_erased": "One of the two guests has been erased.",
    "merge_cycle": "The guest who stays is this guest already, or was merged into them.",
    "merge_elsewhere": "This guest was merged into {into} already.",
    "merge_survivor": "The guest who should stay was merged into {into}. Name that one.",
    "code_kind": "The kind of a code is ld1, ld3 or ld4 here, not {kind}.",
    "card_blocked": "It is blocked already. To let it work again: loyalty-server guests unblock",
    "card_not_blocked": "Nothing of this guest's that you named is blocked.",
    "card_is_blocked": (
        "This card is blocked. If it was found again: loyalty-server guests unblock; if it is lost, another one:"
        " loyalty-server guests card"
    ),
    "cards_blocked": (
        "Every card of this guest is blocked. If one was found again: loyalty-server guests unblock; if they are lost,"
        " another one: loyalty-server guests card"
    ),
    "card_missing": "This guest has no card. Make one with loyalty-server guests card, or see their phone: --kind ld4.",
    "field_missing": "The program lacks {field} in {place}.",
    "field_wrong": "In the program, {field} in {place} should be {wants}.",
}


def sentence(error: ForPerson) -> str:
    """Return what to tell the person at the terminal."""
    pattern = SENTENCES.get(error.code)
    if pattern is None:
        return f"Not possible: {error}"
    said = pattern.format_map({name: _shown(value) for name, value in error.facts.items()})
    also = error.facts.get("also")
    return f"{said} (And {also} more like this.)" if also else said


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
