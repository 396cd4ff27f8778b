package warehouse;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificRecord;

/** Turns the value of a record into an object of the class that was generated from its schema. */
final class Events {
    private static final int FRAME = 5;
    private final Schemas schemas;

    Events(Schemas schemas) {
        this.schemas = schemas;
    }

    /**
     * Confluent's wire format: byte 0, the schema id as four bytes big-endian, the Avro body.
     *
     * <p>What a newer version of an event has on top is dropped, what an older one lacks gets its default.
     */
    SpecificRecord decode(byte[] value) throws IOException {
        ByteBuffer frame = ByteBuffer.wrap(value);
        if (value.length < FRAME || frame.get() != 0) {
            throw new IOException("not a framed record");
        }
        Schema writer = schemas.withId(frame.getInt());
        Class<?> event = SpecificData.get().getClass(writer);
        if (event == null) {
            throw new IOException("no class was generated for " + writer.getFullName());
        }
        BinaryDecoder body = DecoderFactory.get().binaryDecoder(value, FRAME, value.length - FRAME, null);
        Schema reader = SpecificData.get().getSchema(event);
        SpecificRecord record = new SpecificDatumReader<SpecificRecord>(writer, reader).read(null, body);
        if (!body.isEnd()) {
            throw new IOException("bytes behind the record");
        }
        return record;
    }
}
