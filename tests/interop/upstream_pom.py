"""Prints a Maven project for those modules of a checkout of the Java SDK that have integration tests.

    python upstream_pom.py CHECKOUT FOLDER >FOLDER/pom.xml

The checkout builds with Gradle, whose distribution and plugins come from hosts of its own; Maven needs Maven Central
alone. Nothing in the checkout is changed: sources, tests and the protocol's file are compiled where they are, and
what is generated goes to FOLDER. The versions are those of the checkout's build files.
"""

import pathlib
import re
import sys

PROTO = "internal/durabletask-protobuf/protos"

# The first is the project's own source folder; azuremanaged has no integration tests.
BESIDE_CLIENT = ["azuremanaged", "azure-blob-payloads", "exporthistory"]
WITH_TESTS = ["azure-blob-payloads", "exporthistory"]


def dependency(group, artifact, version, more=""):
    return (
        f"    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version>{more}</dependency>\n"
    )


def main(checkout, folder):
    def text(path):
        return (checkout / path).read_text(encoding="utf-8")

    builds = text("azure-blob-payloads/build.gradle") + text("client/build.gradle")
    known = dict(re.findall(r"^def (\w+)Version = '([^']+)'", builds, re.MULTILINE))
    version = re.search(r"^version = '([^']+)'", text("client/build.gradle"), re.MULTILINE)[1]
    junit = re.search(r"junit-bom:([\d.]+)", text("build.gradle"))[1]
    mockito = re.search(r"mockito-core:([\d.]+)", text("azure-blob-payloads/build.gradle"))[1]

    # azuremanaged compiles a class that its build makes of a template.
    template = text("azuremanaged/src/main/resources/VersionInfo.java.template")
    generated = folder / "generated/com/microsoft/durabletask/azuremanaged/VersionInfo.java"
    generated.parent.mkdir(parents=True, exist_ok=True)
    generated.write_text(template.replace("${version}", version), encoding="utf-8")

    test = "<scope>test</scope>"
    dependencies = "".join(
        [dependency("io.grpc", f"grpc-{part}", known["grpc"]) for part in ("protobuf", "stub", "netty-shaded")]
        + [dependency("io.grpc", "grpc-inprocess", known["grpc"], test)]
        + [
            dependency("com.fasterxml.jackson.core", f"jackson-{part}", known["jackson"])
            for part in ("core", "databind", "annotations")
        ]
        + [dependency("com.fasterxml.jackson.datatype", "jackson-datatype-jsr310", known["jackson"])]
        + [
            dependency("io.opentelemetry", f"opentelemetry-{part}", known["openTelemetry"], scope)
            for part, scope in (("api", ""), ("context", ""), ("sdk", test), ("sdk-trace", test), ("sdk-testing", test))
        ]
        + [
            dependency("com.azure", "azure-core", known["azureCore"]),
            dependency("com.azure", "azure-identity", known["azureIdentity"]),
            dependency("com.azure", "azure-storage-blob", known["azureStorageBlob"]),
            dependency("org.apache.tomcat", "annotations-api", "6.0.53", "<scope>provided</scope>"),
            dependency("org.junit.jupiter", "junit-jupiter", junit, test),
            dependency("org.mockito", "mockito-core", mockito, test),
            dependency("org.mockito", "mockito-junit-jupiter", mockito, test),
        ]
    )
    sources = "".join(f"<source>{checkout}/{module}/src/main/java</source>" for module in BESIDE_CLIENT)
    tests = "".join(f"<source>{checkout}/{module}/src/test/java</source>" for module in WITH_TESTS)
    print(f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>upstream</groupId>
  <artifactId>java</artifactId>
  <version>{version}</version>
  <properties>
    <maven.compiler.release>11</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
{dependencies}  </dependencies>
  <build>
    <sourceDirectory>{checkout}/client/src/main/java</sourceDirectory>
    <testSourceDirectory>{checkout}/client/src/test/java</testSourceDirectory>
    <extensions>
      <extension>
        <groupId>kr.motd.maven</groupId><artifactId>os-maven-plugin</artifactId><version>1.7.1</version>
      </extension>
    </extensions>
    <plugins>
      <plugin>
        <groupId>org.xolstice.maven.plugins</groupId>
        <artifactId>protobuf-maven-plugin</artifactId>
        <version>0.6.1</version>
        <configuration>
          <protoSourceRoot>{checkout}/{PROTO}</protoSourceRoot>
          <protocArtifact>com.google.protobuf:protoc:{known["protoc"]}:exe:${{os.detected.classifier}}</protocArtifact>
          <pluginId>grpc-java</pluginId>
          <pluginArtifact>io.grpc:protoc-gen-grpc-java:{known["grpc"]}:exe:${{os.detected.classifier}}</pluginArtifact>
        </configuration>
        <executions><execution><goals><goal>compile</goal><goal>compile-custom</goal></goals></execution></executions>
      </plugin>
      <plugin>
        <groupId>org.codehaus.mojo</groupId>
        <artifactId>build-helper-maven-plugin</artifactId>
        <version>3.6.0</version>
        <executions>
          <execution>
            <id>main</id>
            <phase>generate-sources</phase>
            <goals><goal>add-source</goal></goals>
            <configuration><sources>{sources}<source>{folder}/generated</source></sources></configuration>
          </execution>
          <execution>
            <id>test</id>
            <phase>generate-test-sources</phase>
            <goals><goal>add-test-source</goal></goals>
            <configuration><sources>{tests}</sources></configuration>
          </execution>
        </executions>
      </plugin>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-compiler-plugin</artifactId>
        <version>3.13.0</version>
      </plugin>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-surefire-plugin</artifactId>
        <version>3.5.2</version>
        <configuration>
          <groups>integration</groups>
          <includes><include>**/*Test.java</include><include>**/*Tests.java</include></includes>
          <testFailureIgnore>true</testFailureIgnore>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>""")


if __name__ == "__main__":
    main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:]))
