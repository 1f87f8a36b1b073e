"""The lab: a Streamlit app for data scientists (extra `lab`). One file per page in `pages`, discovered by listing. Facts about

a running service come from its API (`api`), facts about data and models from the library (`bench`, which also caches
results).

One file per page in `pages`, found by listing. They show: what is known about a running service comes from its API (`api`),
what is known about data and models from the library (`bench`, which is also where results are kept between two looks).
"""
