"""What a browser says of answers that a test provoked: a refused request is an error on its console."""


def forget_refusals(page) -> None:
    """Take out of what went wrong that the service refused something (422, 409, 429), or that a question was taken back."""
    told = ("status of 422", "status of 409", "status of 429", "net::ERR_FAILED", "net::ERR_ABORTED")
    page.wrong[:] = [text for text in page.wrong if not any(each in text for each in told)]
