"""What the services do for a request: the templates from which traces grow. Data only."""

from __future__ import annotations

from typing import NamedTuple

# Statuses other than ok, with the share of each; what is left is ok.
Failures = tuple[tuple[str, float], ...]


class Call(NamedTuple):
    """A step inside a segment, `least` to `most` times, about `median_ms` each.

    `to` names the segment of another service (a key of SEGMENTS) that the step reaches; its time is
    then that segment's, unless the step only leaves a message for it (`queue.publish`).
    """

    op: str
    description: str
    median_ms: float = 0.0
    least: int = 1
    most: int = 1
    to: str = ""
    failing: Failures = ()


class Segment(NamedTuple):
    """A service's own part of a trace: its root span and the steps below.

    `failing` is what goes wrong in the service itself; faults of what it calls come on top.
    """

    project: str
    op: str
    transaction: str
    own_ms: float
    calls: tuple[Call, ...] = ()
    failing: Failures = ()


class Journey(NamedTuple):
    """A way a trace begins: the first segment and how often, relative to the others."""

    segment: str
    share: float
    sample_rate: float = 1.0
    night: bool = False


SEGMENTS: dict[str, Segment] = {
    # The browser
    "browse": Segment("storefront", "pageload", "/products/:slug", 320, (
        Call("browser.request", "GET /products/:slug", 45),
        Call("resource.script", "/static/app.js", 60),
        Call("resource.img", "/images/hero.webp", 80, 1, 3),
        Call("http.client", "GET /api/products/{id}", to="product"),
        Call("ui.react.render", "<ProductPage>", 22),
    ), failing=(("cancelled", 0.02),)),
    "search page": Segment("storefront", "pageload", "/search", 280, (
        Call("browser.request", "GET /search", 40),
        Call("resource.script", "/static/search.js", 50),
        Call("http.client", "GET /api/search", to="search"),
        Call("ui.react.render", "<SearchResults>", 30),
    ), failing=(("cancelled", 0.04),)),
    "buy": Segment("storefront", "navigation", "/checkout/confirm", 150, (
        Call("http.client", "POST /api/checkout", to="checkout"),
        Call("ui.react.render", "<OrderConfirmed>", 18),
    )),
    "cart page": Segment("storefront", "navigation", "/cart", 90, (
        Call("http.client", "GET /api/cart", to="cart"),
        Call("ui.react.render", "<Cart>", 15),
    )),
    # The app
    "app home": Segment("mobile-app", "ui.load", "HomeScreen", 210, (
        Call("file.read", "home-layout.json", 6),
        Call("http.client", "GET /api/cart", to="cart"),
        Call("http.client", "GET /api/products/{id}", 0, 1, 2, to="product"),
    )),
    # The services
    "product": Segment("catalog-api", "http.server", "GET /products/{id}", 9, (
        Call("cache.get", "product:{id}", 1.1),
        Call("db", "SELECT * FROM products WHERE id = %s", 4, 0, 1),
        Call("db", "SELECT * FROM prices WHERE product_id = %s", 3, 0, 1),
    ), failing=(("not_found", 0.009),)),
    # One query for the hits, then one more for each of them: the slow endpoint of the story.
    "search": Segment("catalog-api", "http.server", "GET /search", 28, (
        Call("db", "SELECT id FROM products WHERE document @@ to_tsquery(%s)", 55),
        Call("db", "SELECT * FROM product_variants WHERE product_id = %s", 38, 9, 24),
    ), failing=(("deadline_exceeded", 0.008), ("invalid_argument", 0.004), ("cancelled", 0.01))),
    "cart": Segment("checkout-api", "http.server", "GET /cart", 12, (
        Call("cache.get", "cart:{user}", 1.3),
        Call("db", "SELECT * FROM cart_lines WHERE cart_id = %s", 5),
    ), failing=(("unauthenticated", 0.008), ("internal_error", 0.002))),
    "checkout": Segment("checkout-api", "http.server", "POST /checkout", 35, (
        Call("db", "SELECT * FROM cart_lines WHERE cart_id = %s", 5),
        Call("db", "UPDATE stock SET reserved = reserved + %s WHERE sku = %s", 9, 1, 3),
        Call("http.client", "POST http://payments/charges", to="charge"),
        Call("db", "INSERT INTO orders VALUES (%s)", 8),
        Call("queue.publish", "orders.confirmed", 3, to="confirm order"),
    ), failing=(("invalid_argument", 0.012), ("internal_error", 0.003))),
    "charge": Segment("payments", "http.server", "POST /charges", 14, (
        Call("db.sql.query", "INSERT INTO charges VALUES ($1)", 5),
        Call("http.client", "POST https://gateway.example.com/authorize", 130,
             failing=(("deadline_exceeded", 0.006), ("unavailable", 0.005))),
        Call("db.sql.query", "UPDATE charges SET state = $1 WHERE id = $2", 4),
    ), failing=(("internal_error", 0.002),)),
    "webhook": Segment("payments", "http.server", "POST /webhooks/gateway", 11, (
        Call("db.sql.query", "SELECT * FROM charges WHERE gateway_id = $1", 4),
        Call("queue.publish", "payments.settled", 2, to="book payment"),
    ), failing=(("unauthenticated", 0.007), ("invalid_argument", 0.003))),
    # The workers, which fail most of all and always alike
    "confirm order": Segment("batch-worker", "queue.process", "tasks.mails.confirm_order", 40, (
        Call("cache.get", "template:confirm_order", 1.0),
        Call("db", "SELECT * FROM orders WHERE id = %s", 5),
        Call("http.client", "POST https://mail.example.com/send", 95,
             failing=(("unavailable", 0.07),)),
    ), failing=(("internal_error", 0.02),)),
    "book payment": Segment("batch-worker", "queue.process", "tasks.ledger.book", 15, (
        Call("db", "INSERT INTO ledger VALUES (%s)", 6, 2, 2),
    ), failing=(("internal_error", 0.04),)),
    "export feed": Segment("batch-worker", "queue.task.celery", "tasks.feeds.export", 900, (
        Call("db", "SELECT * FROM products ORDER BY id LIMIT 1000", 140, 6, 12),
        Call("http.client", "PUT https://feeds.example.com/acme.xml", 420,
             failing=(("unavailable", 0.05),)),
    ), failing=(("deadline_exceeded", 0.12),)),
}  # fmt: skip

JOURNEYS = (
    Journey("browse", 0.30, 0.5),
    Journey("search page", 0.12, 0.5),
    Journey("cart page", 0.13, 0.5),
    Journey("buy", 0.10, 1.0),
    Journey("app home", 0.13, 0.25),
    Journey("search", 0.04),  # partners call the service directly
    Journey("webhook", 0.08),
    Journey("export feed", 0.06, night=True),
)

# What a made-up project does.
HEALTH = Segment("", "http.server", "GET /health", 4, (Call("cache.get", "health", 0.8),))
HEALTH_SHARE = 0.004
