"""localstripe on loopback, at a free port that it prints, keeping nothing on disk.

It has no hosted pages; those here are ours, over its own customers, payment methods, setup intents and webhooks.
"""

import socket

from aiohttp import web
from localstripe import resources, server
from localstripe.errors import UserError
from localstripe.webhooks import schedule_webhook

resources.Store.dump_to_disk = lambda self: None


class Session(resources.StripeObject):
    object = "checkout.session"
    _id_prefix = "cs_test_"

    def __init__(self, mode, customer, success_url, cancel_url, payment_method_types=None, metadata=None):
        if mode != "setup":
            raise UserError(400, "Bad request")
        resources.Customer._api_retrieve(customer)
        super().__init__()
        setup = resources.SetupIntent(customer=customer, payment_method_types=payment_method_types)
        self.customer = customer
        self.expires_at = self.created + 24 * 3600
        self.metadata = metadata or {}
        self.mode = mode
        self.setup_intent = setup.id
        self.status = "open"
        self.url = "https://pages.example/" + self.id

    @classmethod
    def _api_expire(cls, id):
        page = cls._api_retrieve(id)
        if page.status != "open":
            raise UserError(400, "Bad request", {"code": "resource_missing"})
        page.status = "expired"
        page.url = None
        schedule_webhook(resources.Event("checkout.session.expired", page))
        return page

    @classmethod
    def _api_type(cls, id, card):
        """What the page does when the customer has typed a card."""
        page = cls._api_retrieve(id)
        if page.status != "open":
            raise UserError(400, "Bad request")
        method = resources.PaymentMethod(type="card", card=card)
        resources.SetupIntent._api_confirm(page.setup_intent, payment_method=method.id)
        resources.PaymentMethod._api_attach(method.id, customer=page.customer)
        page.status = "complete"
        page.url = None
        schedule_webhook(resources.Event("checkout.session.completed", page))
        return page


for method, path, call in (
    ("POST", "/v1/checkout/sessions", Session._api_create),
    ("GET", "/v1/checkout/sessions/{id}", Session._api_retrieve),
    ("POST", "/v1/checkout/sessions/{id}/expire", Session._api_expire),
    ("POST", "/v1/checkout/sessions/{id}/_type", Session._api_type),
):
    server.app.router.add_route(method, path, server.api_extra(call, path))

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(f"listening {listener.getsockname()[1]}", flush=True)
web.run_app(server.app, sock=listener, print=None, access_log=None)
