"""The Streamlit script: the menu of pages and the selected page."""

from pathlib import Path

import streamlit as st

from penstock.lab.controls import guarded, keep
from penstock.lab.pages import found

ICON = str(Path(__file__).with_name("icon.svg"))
"""From a file: an icon of Streamlit's own names would be fetched from outside."""


def main() -> None:
    """Show the selected page."""
    st.set_page_config(page_title="Penstock lab", page_icon=ICON, layout="wide")
    keep()
    pages = [
        st.Page(guarded(page.show), title=page.title, icon=page.icon, url_path=page.name, default=at == 0)
        for at, page in enumerate(found())
    ]
    chosen = st.navigation(pages)
    st.title(chosen.title)
    chosen.run()


if __name__ == "__main__":
    main()
