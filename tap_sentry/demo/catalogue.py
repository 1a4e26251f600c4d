"""What the demo shop consists of: teams, projects, their lasting errors, their release habits.

Data only; `issues.py`, `events.py` and `spans.py` bring it to life.
"""

from __future__ import annotations

from typing import NamedTuple

ORGANIZATION_ID = "4507000000000001"
ORGANIZATION_SLUG = "acme-shop"
ORGANIZATION_NAME = "Acme Shop"

ENVIRONMENTS = ("production", "staging", "development")
ENVIRONMENT_SHARES = (0.88, 0.97, 1.0)  # cumulative

# A slug that was renamed: Sentry answers with a redirect to the new one.
RENAMED_PROJECTS = {"web-shop": "storefront"}


class Team(NamedTuple):
    id: str
    slug: str
    name: str


class Project(NamedTuple):
    """`errors_share` is the project's part of the lasting errors, `night` moves its rhythm."""

    id: str
    slug: str
    name: str
    platform: str
    team: str
    errors_share: float
    is_member: bool = True
    night: bool = False


TEAMS = (
    Team("4507100000000011", "checkout", "Checkout"),
    Team("4507100000000012", "platform", "Platform"),
    Team("4507100000000013", "storefront", "Storefront"),
)

PROJECTS = (
    Project("4507200000000101", "storefront", "Storefront", "javascript-react", "storefront", 0.30),
    Project("4507200000000102", "checkout-api", "Checkout API", "python-django", "checkout", 0.22),
    Project("4507200000000103", "catalog-api", "Catalog API", "python-fastapi", "platform", 0.18),
    Project("4507200000000104", "payments", "Payments", "go", "checkout", 0.10),
    # The token's user is in no team of this one: requests that leave `project` out miss it.
    Project("4507200000000105", "mobile-app", "Mobile App", "react-native", "storefront", 0.20,
            is_member=False),
    # The noisy one: four issues, half of all events.
    Project("4507200000000106", "batch-worker", "Batch Worker", "python-celery", "platform", 0.0,
            night=True),
)  # fmt: skip

# Projects whose SDK sends sessions, which release health counts.
WITH_SESSIONS = ("storefront", "checkout-api", "mobile-app")

# Kind of error, message, culprit, file. The first word of a project's list is its most frequent.
LASTING_ERRORS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "storefront": (
        ("TypeError", "Cannot read properties of null (reading 'price')",
         "ProductCard", "src/product/card.tsx"),
        ("ChunkLoadError", "Loading chunk 41 failed", "/cart", "src/routes.tsx"),
        ("NetworkError", "Failed to fetch /api/cart", "useCart", "src/cart/use-cart.ts"),
        ("ReferenceError", "analytics is not defined", "/", "src/tracking/banner.ts"),
        ("QuotaExceededError", "The storage quota was exceeded", "saveCart", "src/cart/storage.ts"),
        ("SyntaxError", "Unexpected end of JSON input", "parseFilters", "src/search/filters.ts"),
        ("AbortError", "The user aborted a request", "useSuggest", "src/search/suggest.ts"),
        ("RangeError", "Invalid time value", "formatDelivery", "src/checkout/delivery.ts"),
        ("HydrationError", "Text content did not match",
         "/products/[slug]", "src/product/page.tsx"),
        ("UnhandledRejection", "Object captured as promise rejection",
         "/account", "src/account/orders.ts"),
        ("TypeError", "window.visualViewport is undefined", "useSticky", "src/layout/sticky.ts"),
        ("SecurityError", "Blocked a frame from accessing a cross-origin frame",
         "PaymentFrame", "src/checkout/frame.tsx"),
        ("NotAllowedError", "Play was prevented by the browser",
         "ProductVideo", "src/product/video.tsx"),
        ("TypeError", "items.map is not a function", "RecentlySeen", "src/home/recent.tsx"),
    ),
    "checkout-api": (
        ("ValidationError", "postal_code: does not match the country",
         "checkout.address.validate", "checkout/address.py"),
        ("StockConflict", "Reserved quantity exceeds stock",
         "checkout.stock.reserve", "checkout/stock.py"),
        ("OperationalError", "deadlock detected", "checkout.orders.place", "checkout/orders.py"),
        ("Timeout", "payments did not answer within 5 s",
         "checkout.payment.authorize", "checkout/payment.py"),
        ("DoesNotExist", "Voucher matching query does not exist",
         "checkout.vouchers.apply", "checkout/vouchers.py"),
        ("KeyError", "'shipping_method'", "checkout.shipping.quote", "checkout/shipping.py"),
        ("IntegrityError", "duplicate key value violates unique constraint",
         "checkout.orders.place", "checkout/orders.py"),
        ("PermissionDenied", "Cart belongs to another session",
         "checkout.cart.load", "checkout/cart.py"),
        ("ValueError", "could not convert string to Decimal",
         "checkout.totals.parse", "checkout/totals.py"),
        ("UnicodeEncodeError", "'latin-1' codec can't encode character",
         "checkout.labels.print", "checkout/labels.py"),
    ),
    "catalog-api": (
        ("TimeoutError", "search index did not answer",
         "catalog.search.query", "catalog/search.py"),
        ("RequestValidationError", "page_size: not a positive number",
         "catalog.api.list_products", "catalog/api.py"),
        ("ConnectionResetError", "Connection reset by peer",
         "catalog.images.fetch", "catalog/images.py"),
        ("KeyError", "'attributes'", "catalog.facets.build", "catalog/facets.py"),
        ("LookupError", "no price list for currency", "catalog.prices.find", "catalog/prices.py"),
        ("CacheMiss", "category tree expired while rebuilding",
         "catalog.tree.load", "catalog/tree.py"),
        ("AttributeError", "'NoneType' object has no attribute 'slug'",
         "catalog.links.canonical", "catalog/links.py"),
        ("UnicodeDecodeError", "invalid start byte",
         "catalog.importer.read", "catalog/importer.py"),
        ("RecursionError", "maximum recursion depth exceeded",
         "catalog.tree.walk", "catalog/tree.py"),
    ),
    "payments": (
        ("*net.OpError", "dial tcp: i/o timeout",
         "gateway.(*Client).Authorize", "gateway/client.go"),
        ("*errors.errorString", "card declined: insufficient funds",
         "charge.Capture", "charge/capture.go"),
        ("context.deadlineExceeded", "context deadline exceeded",
         "charge.(*Service).Refund", "charge/refund.go"),
        ("*json.SyntaxError", "invalid character '<' looking for beginning of value",
         "webhook.Decode", "webhook/decode.go"),
        ("*errors.errorString", "signature mismatch on webhook",
         "webhook.Verify", "webhook/verify.go"),
        ("runtime.boundsError", "index out of range [3] with length 3",
         "ledger.Split", "ledger/split.go"),
        ("*pq.Error", "could not serialize access due to concurrent update",
         "ledger.Post", "ledger/post.go"),
    ),
    "mobile-app": (
        ("ANR", "Application not responding for at least 5000 ms",
         "MainActivity", "MainActivity.kt"),
        ("OutOfMemoryError", "Failed to allocate a 16 MB image", "ImageCache", "ImageCache.kt"),
        ("NSInvalidArgumentException", "unrecognized selector sent to instance",
         "CartViewController", "CartViewController.m"),
        ("TypeError", "undefined is not an object (evaluating 'route.params.id')",
         "ProductScreen", "app/screens/product.tsx"),
        ("NetworkError", "The Internet connection appears to be offline",
         "syncCart", "app/cart/sync.ts"),
        ("InvariantViolation", "Tried to register two views with the same name",
         "index", "app/index.ts"),
        ("SQLiteException", "database is locked", "OfflineStore", "OfflineStore.kt"),
        ("RangeError", "Maximum call stack size exceeded", "deepMerge", "app/state/merge.ts"),
        ("IllegalStateException", "Fragment not attached to a context",
         "ScannerFragment", "ScannerFragment.kt"),
        ("EXC_BAD_ACCESS", "Attempted to dereference null pointer",
         "PushHandler", "PushHandler.swift"),
        ("TypeError", "Network request failed", "fetchOffers", "app/offers/fetch.ts"),
    ),
    "batch-worker": (
        ("ConnectionError", "Error 110 connecting to redis:6379. Connection timed out.",
         "tasks.stock.sync", "tasks/stock.py"),
        ("SoftTimeLimitExceeded", "SoftTimeLimitExceeded()",
         "tasks.feeds.export", "tasks/feeds.py"),
        ("SMTPServerDisconnected", "Connection unexpectedly closed",
         "tasks.mails.send", "tasks/mails.py"),
        ("Retry", "Retry in 30s: rates service unavailable",
         "tasks.rates.refresh", "tasks/rates.py"),
    ),
}  # fmt: skip

# How a mistake of a new release reads; the words of a project make it a different one each time.
NEW_ERRORS: dict[str, tuple[tuple[str, str], ...]] = {
    "javascript": (
        ("TypeError", "Cannot read properties of undefined (reading '{word}')"),
        ("ReferenceError", "{word} is not defined"),
        ("TypeError", "{word}.filter is not a function"),
        ("Error", "Rendered more hooks than during the previous render of {word}"),
        ("RangeError", "Invalid array length in {word}"),
    ),
    "python": (
        ("AttributeError", "'NoneType' object has no attribute '{word}'"),
        ("KeyError", "'{word}'"),
        ("TypeError", "unsupported operand type(s) for +: '{word}' and 'NoneType'"),
        ("IntegrityError", 'null value in column "{word}" violates not-null constraint'),
        ("ValueError", "{word} must not be empty"),
        ("AssertionError", "{word} was already settled"),
    ),
    "go": (
        ("runtime.errorString", "invalid memory address or nil pointer dereference in {word}"),
        ("*errors.errorString", "{word}: unexpected state"),
        ("*strconv.NumError", "strconv.Atoi: parsing {word}: invalid syntax"),
    ),
}

WORDS: dict[str, tuple[str, ...]] = {
    "storefront": ("badge", "carousel", "filters", "gallery", "wishlist", "banner", "stepper"),
    "checkout-api": ("tax_id", "discount", "shipping_zone", "basket", "currency", "invoice",
                     "gift_card", "rounding", "vat_rate", "payer", "line_total", "coupon",
                     "pickup_point", "payment_term"),
    "catalog-api": ("variants", "facet", "synonym", "brand", "stock_level", "price_list"),
    "payments": ("mandate", "settlement", "refund_id", "merchant", "ledger_entry"),
    "mobile-app": ("deeplink", "biometrics", "camera", "basketBadge", "pushToken", "offlineQueue"),
    "batch-worker": ("feed_row", "mail_batch", "rate_table", "export_path"),
}  # fmt: skip

# How spans end and the HTTP status that says the same, as Sentry's SDKs pair them.
# https://develop.sentry.dev/sdk/event-payloads/span/
HTTP_CODES = {
    "ok": 200,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "not_found": 404,
    "cancelled": 499,
    "internal_error": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}
SERVER_FAULTS = frozenset(status for status, code in HTTP_CODES.items() if code >= 500)

# Browsers tell when these happened, not how they ended.
WITHOUT_STATUS = frozenset(
    {"browser.request", "resource.img", "resource.script", "ui.react.render"}
)

# What else goes wrong in the first project of the bad release: shares of its requests.
BAD_RELEASE_FAILURES = (("internal_error", 0.17), ("deadline_exceeded", 0.03))

FEEDBACK = (
    ("storefront", "The size table covers the buy button on my phone"),
    ("storefront", "Search shows sold-out shoes first"),
    ("mobile-app", "I was charged but the app says the order failed"),
)

_GENERATED_NAMES = ("amber", "birch", "cobalt", "dune", "ember",
                    "fjord", "grove", "harbor", "iris", "juniper")  # fmt: skip
_GENERATED_ROLES = ("pricing", "returns", "loyalty", "mailer", "gateway", "reports",
                    "images", "stock", "tax", "chat", "audit")  # fmt: skip


def projects(count: int) -> tuple[Project, ...]:
    """The first `count` projects; beyond the six of the shop they have made-up names."""
    made_up = tuple(
        Project(
            id=str(4507200000001000 + number),
            slug=_generated_slug(number),
            name=_generated_slug(number).replace("-", " ").title(),
            platform=("python", "node", "go")[number % 3],
            team=TEAMS[number % 3].slug,
            errors_share=0.002,
        )
        for number in range(max(0, count - len(PROJECTS)))
    )
    return (PROJECTS + made_up)[:count]


def _generated_slug(number: int) -> str:
    name = _GENERATED_NAMES[number % len(_GENERATED_NAMES)]
    role = _GENERATED_ROLES[number // len(_GENERATED_NAMES) % len(_GENERATED_ROLES)]
    cycle = number // (len(_GENERATED_NAMES) * len(_GENERATED_ROLES))
    return f"{name}-{role}" + (f"-{cycle + 1}" if cycle else "")


def family(platform: str) -> str:
    """The language family that decides how errors and frames look."""
    if platform.startswith("python"):
        return "python"
    return "go" if platform == "go" else "javascript"
