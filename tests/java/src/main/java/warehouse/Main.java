package warehouse;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints events as JSON, one a line.
 *
 * <pre>
 * bytes REGISTRY                       the values of records, in hex, a line of the standard input each
 * topics REGISTRY BOOTSTRAP TOPIC...   everything in these topics, up to their ends as they are now
 * </pre>
 */
public final class Main {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final ObjectMapper JSON = new ObjectMapper();

    private Main() {}

    public static void main(String[] arguments) throws IOException {
        Events events = new Events(new Schemas(arguments[1]));
        switch (arguments[0]) {
            case "bytes" -> printBytes(events);
            case "topics" -> printTopics(events, arguments[2], List.of(arguments).subList(3, arguments.length));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void printBytes(Events events) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            print(events, HexFormat.of().parseHex(line), new LinkedHashMap<>());
        }
    }

    private static void printTopics(Events events, String bootstrap, List<String> topics) throws IOException {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", false);
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics) {
                consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Instant deadline = Instant.now().plus(PATIENCE);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                if (Instant.now().isAfter(deadline)) {
                    throw new IOException("the ends were not reached");
                }
                for (ConsumerRecord<String, byte[]> record : consumer.poll(POLL)) {
                    Map<String, Object> place = new LinkedHashMap<>();
                    place.put("topic", record.topic());
                    place.put("partition", record.partition());
                    place.put("offset", record.offset());
                    place.put("key", record.key());
                    try {
                        print(events, record.value(), place);
                    } catch (IOException | RuntimeException error) {
                        // Whatever a stranger may have written to the topic: it must not stop what comes behind it.
                        place.put("undecodable", error.toString());
                        System.out.println(JSON.writeValueAsString(place));
                    }
                }
            }
        }
    }

    private static void print(Events events, byte[] value, Map<String, Object> line) throws IOException {
        SpecificRecord event = events.decode(value);
        line.put("class", event.getClass().getName());
        line.put("event", shown(event));
        System.out.println(JSON.writeValueAsString(line));
    }

    /** Returns a value in JSON's types, as the golden examples spell it. */
    private static Object shown(Object value) {
        if (value instanceof SpecificRecord record) {
            Map<String, Object> fields = new LinkedHashMap<>();
            for (Schema.Field field : record.getSchema().getFields()) {
                fields.put(field.name(), shown(record.get(field.pos())));
            }
            return fields;
        }
        if (value instanceof List<?> items) {
            return items.stream().map(Main::shown).toList();
        }
        if (value instanceof Map<?, ?> entries) {
            Map<String, Object> shown = new LinkedHashMap<>();
            entries.forEach((name, entry) -> shown.put(name.toString(), shown(entry)));
            return shown;
        }
        if (value instanceof Instant time) {
            return ChronoUnit.MICROS.between(Instant.EPOCH, time);
        }
        if (value instanceof Enum<?> || value instanceof UUID || value instanceof CharSequence) {
            return value.toString();
        }
        return value;
    }
}
