"""The lab: pages for people who work with data, in a browser beside the service (extra `lab`, Streamlit).

One file per page in `pages`, found by listing. They show: what is known about a running service comes from its API (`api`),
what is known about data and models from the library (`bench`, which is also where results are kept between two looks).
"""
