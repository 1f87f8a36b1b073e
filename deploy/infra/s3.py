"""An S3 server: S3Proxy over a folder."""

from http.client import HTTPConnection
from typing import ClassVar

from deploy.infra.jars import class_path, java_missing
from deploy.infra.server import Server

ACCESS_KEY = "penstock"
SECRET_KEY = "penstock-secret"  # noqa: S105 - of a server on the loopback interface, in a scratch folder
BUCKET = "penstock"


class S3(Server):
    """A server whose buckets are folders; it wants signed requests."""

    name: ClassVar[str] = "s3"
    usual_port: ClassVar[int] = 9000

    access_key = ACCESS_KEY
    secret_key = SECRET_KEY

    @classmethod
    def missing(cls) -> str | None:
        """Java, or Maven for the jars."""
        return java_missing("s3")

    @classmethod
    def fetch(cls) -> None:
        """The jars."""
        class_path("s3")

    @property
    def endpoint(self) -> str:
        """The address of the server itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """s3://BUCKET?endpoint=ADDRESS; who reads it takes the keys from `environment`."""
        return self.url_of(BUCKET)

    @property
    def environment(self) -> dict[str, str]:
        """The keys, in the variables that every S3 client reads."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}

    def url_of(self, bucket: str) -> str:
        """The address of one of its buckets."""
        return f"s3://{bucket}?endpoint={self.endpoint}"

    def create(self, bucket: str) -> str:
        """Make an empty bucket; its address."""
        (self.folder / "data" / bucket).mkdir()
        return self.url_of(bucket)

    def prepare(self) -> None:
        """Write the configuration; make the first bucket."""
        (self.folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
        config = {
            "s3proxy.endpoint": self.endpoint,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": ACCESS_KEY,
            "s3proxy.credential": SECRET_KEY,
            "jclouds.provider": "filesystem",
            "jclouds.filesystem.basedir": self.folder / "data",
        }
        lines = (f"{key}={value}\n" for key, value in (config | self.settings).items())
        (self.folder / "s3proxy.conf").write_text("".join(lines))

    def command(self) -> list[str]:
        """The server in the foreground."""
        main = ["org.gaul.s3proxy.Main", "--properties", str(self.folder / "s3proxy.conf")]
        return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", class_path("s3"), *main]

    def answers(self) -> bool:
        """Whether it speaks HTTP (it refuses what is not signed)."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        finally:
            connection.close()
