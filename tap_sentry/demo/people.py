"""The people of the demo organization: END_USERS of the shop and MEMBERS who work on it.

The same id is the same person everywhere: events, spans and the dbt seeds share this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Person(NamedTuple):
    """An end user as Sentry's SDKs report one."""

    id: str
    name: str

    @property
    def username(self) -> str:
        return self.name.lower().replace(" ", ".").replace("'", "")

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"

    @property
    def ip_address(self) -> str:
        return f"203.0.113.{int(self.id) % 250 + 1}"

    @property
    def country(self) -> str:
        return ("US", "DE", "FR", "BR", "JP")[int(self.id) % 5]


class Member(NamedTuple):
    """A seat in the organization; `state` is active, pending or expired (both without a user)."""

    id: str
    name: str
    role: str
    teams: tuple[str, ...]
    state: str = "active"

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@example.com"

    @property
    def user_id(self) -> str:
        return str(int(self.id) + 70_000)


_END_USER_NAMES = (
    "Ada Whitlow", "Bruno Castell", "Chiara Moretti", "Dmitri Volkov", "Elena Petrova",
    "Farid Haddad", "Greta Lindqvist", "Hiro Tanaka", "Imani Okafor", "Jonas Becker",
    "Katya Sokolova", "Liam Gallagher", "Mei Chen", "Noor Rahman", "Oscar Nilsson",
    "Priya Raman", "Quentin Dubois", "Rosa Delgado", "Samir Nasser", "Tove Hansen",
    "Umberto Ricci", "Valeria Ionescu", "Wanjiru Kamau", "Xavier Fontaine", "Yuki Mori",
    "Zofia Nowak", "Aidan Byrne", "Beatriz Almeida", "Caleb Turner", "Dalia Mansour",
    "Emil Novotny", "Fatima Zahra", "Gustavo Pereira", "Hanna Virtanen", "Ivan Horvat",
    "Jasmine Brooks", "Kofi Mensah", "Lucia Romano", "Marek Dvorak", "Nadia Karimi",
    "Olga Ivanova", "Pablo Serrano", "Rania Saleh", "Soren Madsen", "Tariq Aziz",
    "Ulla Korhonen", "Victor Lemaire", "Willa Hart", "Ximena Vargas", "Yara Costa",
    "Zane Mitchell", "Anouk Visser", "Bogdan Marin", "Celeste Roy", "Diego Fuentes",
    "Esther Levy", "Felix Wagner", "Gia Nguyen", "Hugo Martin", "Iris O'Connell",
)  # fmt: skip

END_USERS: tuple[Person, ...] = tuple(
    Person(str(1001 + number), name) for number, name in enumerate(_END_USER_NAMES)
)

_STAFF: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("Marta Keller", "owner", ("storefront",), "active"),
    ("Theo Lambert", "manager", ("checkout", "platform"), "active"),
    ("Ines Ferreira", "admin", ("platform",), "active"),
    ("Paul Achterberg", "member", ("storefront",), "active"),
    ("Sunita Kapoor", "member", ("checkout",), "active"),
    ("Rafael Ortiz", "member", ("checkout",), "active"),
    ("Lena Brandt", "member", ("storefront",), "active"),
    ("Kwame Boateng", "member", ("platform",), "active"),
    ("Alice Thornton", "member", ("checkout", "platform"), "active"),
    ("Daniel Weiss", "member", ("storefront",), "active"),
    ("Yusuf Demir", "member", ("platform",), "active"),
    ("Clara Johansson", "member", ("storefront",), "active"),
    ("Mateo Silva", "member", ("checkout",), "active"),
    ("Hana Kim", "member", ("platform",), "active"),
    ("Peter Vance", "member", ("storefront",), "active"),
    ("Aisha Bello", "member", ("checkout",), "active"),
    ("Nils Aaberg", "member", ("platform",), "active"),
    ("Camille Laurent", "billing", (), "active"),
    ("Tom Redfern", "member", ("storefront", "checkout"), "active"),
    ("Vera Lukacs", "member", ("platform",), "active"),
    ("Joao Santos", "member", ("checkout",), "active"),
    ("Ellen Park", "member", ("storefront",), "active"),
    ("Igor Babic", "member", ("platform",), "pending"),
    ("Simone Ricard", "member", ("checkout",), "pending"),
    ("Andre Lopes", "member", (), "expired"),
)

MEMBERS: tuple[Member, ...] = tuple(
    Member(str(20_101 + 3 * number), name, role, teams, state)
    for number, (name, role, teams, state) in enumerate(_STAFF)
)


def personal_values() -> frozenset[str]:
    """Every text that tells who somebody is: names, usernames, e-mail and IP addresses.

    Ids are left out: they are pseudonyms, and what rows are joined by.
    """
    users = {text for one in END_USERS for text in (one.name, one.username, one.email)}
    users |= {one.ip_address for one in END_USERS}
    return frozenset(users | {value for one in MEMBERS for value in (one.name, one.email)})
