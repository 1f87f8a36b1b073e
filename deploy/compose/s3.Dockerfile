# The S3 server that `make infra` runs as well: S3Proxy over a folder, by the version in deploy/infra/pom.xml.

FROM maven:3.9-eclipse-temurin-17 AS jars
COPY deploy/infra/pom.xml /pom.xml
RUN mvn --quiet --batch-mode --file /pom.xml --activate-profiles s3 dependency:copy-dependencies -DoutputDirectory=/jars

FROM eclipse-temurin:17-jre
RUN useradd --system --uid 10001 s3 && install --directory --owner s3 /data /data/penstock
COPY --from=jars /jars /jars
COPY deploy/compose/s3proxy.conf /s3proxy.conf
USER s3
VOLUME /data
EXPOSE 9000
# The keys come from the environment, as system properties win over the file.
CMD ["sh", "-c", "exec java -Xmx256m -Ds3proxy.identity=$S3_ACCESS_KEY -Ds3proxy.credential=$S3_SECRET_KEY -cp '/jars/*' org.gaul.s3proxy.Main --properties /s3proxy.conf"]
