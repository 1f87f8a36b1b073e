"""A process that accepts connections for a service, and passes plain `POST /predict` requests on to it, many at once.

One process decides (the writer). With `penstock serve --acceptors N`, N of these processes read and write its clients'
connections. A plain request goes to the writer as a frame over a socket pair (`frames`), and its answer comes back as one. A
connection that asks for anything else is passed through to the writer, byte by byte, until it ends.
"""
