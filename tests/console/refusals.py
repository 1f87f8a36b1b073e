"""What a browser says of answers that a test provoked: a refused request is an error on its console."""


def expect_refusals(page) -> None:
    """The service may refuse something (422, 409, 429), and a question may be taken back."""
    page.expected += ["status of 422", "status of 409", "status of 429", "net::ERR_FAILED", "net::ERR_ABORTED"]
